// graphile-worker, set up as its documentation says: https://worker.graphile.org/docs/performance
import { Logger, makeWorkerUtils, run, runMigrations } from 'graphile-worker'

const logger = new Logger(() => () => {})

export const waiting = (jobs) => async (client, connectionString) => {
  await runMigrations({ connectionString, logger })
  await client.query(
    `SELECT count(*) FROM graphile_worker.add_jobs(ARRAY(
      SELECT ROW('noop', '{}'::json, NULL, now(), NULL, NULL, NULL, NULL)::graphile_worker.job_spec
      FROM generate_series(1, $1::int)))`,
    [jobs],
  )
  await client.query('VACUUM ANALYZE')
}

/** A finished job is deleted. */
export const left = 'SELECT 1 FROM graphile_worker._private_jobs LIMIT 1'

export const makeWorker = async ({ databaseUrl, options }, perform) => {
  let runner
  return {
    start: async () => {
      runner = await run({
        preset: { worker: { connectionString: databaseUrl, ...options, logger } },
        logger,
        noHandleSignals: true,
        taskList: { noop: (payload) => perform(payload?.sentAt) },
      })
    },
    stop: () => runner?.stop(),
  }
}

export const makeEnqueuer = async ({ databaseUrl }) => {
  const utils = await makeWorkerUtils({ connectionString: databaseUrl, logger })
  return {
    one: (sentAt) => utils.addJob('noop', sentAt === undefined ? {} : { sentAt }),
    many: (count) => utils.addJobs(Array.from({ length: count }, () => ({ identifier: 'noop', payload: {} }))),
    close: () => utils.release(),
  }
}
