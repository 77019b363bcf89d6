// pg-boss, set up as its documentation says: https://pgboss.io, docs/api/workers.md
import { PgBoss } from 'pg-boss'

const QUEUE = 'noop'

const start = async (databaseUrl, more = {}) => {
  const boss = new PgBoss({ connectionString: databaseUrl, ...more })
  boss.on('error', (error) => console.error(error))
  await boss.start()
  return boss
}

export const waiting = (jobs) => async (client, databaseUrl) => {
  const boss = await start(databaseUrl, { supervise: false, schedule: false })
  await boss.createQueue(QUEUE, { notify: true })
  for (let rest = jobs; rest > 0; rest -= 10_000)
    await boss.insert(
      QUEUE,
      Array.from({ length: Math.min(rest, 10_000) }, () => ({ data: {} })),
    )
  await boss.stop()
  await client.query('VACUUM ANALYZE')
}

/** A finished job stays in its row for a week. */
export const left = `SELECT 1 FROM pgboss.job WHERE name = '${QUEUE}' AND state < 'completed' LIMIT 1`

/** Single jobs in loops: `work` would pause half a second after each. */
const fetchOnAndOn = async (boss, loops, perform) => {
  const loop = async () => {
    while (!boss.isStopping) {
      const [job] = await boss.fetch(QUEUE)
      if (job === undefined) await new Promise((resolve) => setTimeout(resolve, 100))
      else {
        await perform(job.data?.sentAt)
        await boss.complete(QUEUE, job.id)
      }
    }
  }
  return Promise.all(Array.from({ length: loops }, loop))
}

export const makeWorker = async ({ databaseUrl, options }, perform) => {
  const { loops, ...work } = options
  let boss
  let looping
  return {
    start: async () => {
      boss = await start(databaseUrl, { useListenNotify: true })
      if (loops) looping = fetchOnAndOn(boss, loops, perform)
      else
        await boss.work(QUEUE, work, (jobs) =>
          Promise.all(jobs.map(({ data }) => perform(data?.sentAt))).then(() => undefined),
        )
    },
    stop: async () => {
      if (boss) boss.isStopping = true
      await looping
      await boss?.stop()
    },
  }
}

export const makeEnqueuer = async ({ databaseUrl }) => {
  const boss = await start(databaseUrl, { supervise: false, schedule: false })
  return {
    one: (sentAt) => boss.send(QUEUE, sentAt === undefined ? {} : { sentAt }),
    many: (count) =>
      boss.insert(
        QUEUE,
        Array.from({ length: count }, () => ({ data: {} })),
      ),
    close: () => boss.stop(),
  }
}
