import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import { sweepBatches } from '../../src/batch/completion/sweep.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { alternate, type Suite } from '../run.ts'
import { settle } from '../seed.ts'
import { installSchema } from '../server.ts'

const MEMBERS = 5

/** Batches that ended well over the last day. $1 batches */
const BATCHES = `
INSERT INTO good_job_batches (id, created_at, updated_at, enqueued_at, jobs_finished_at, finished_at, on_success)
SELECT gen_random_uuid(), at, at, at, at, at, 'CallbackJob'
FROM (
  SELECT (now() AT TIME ZONE 'UTC') - interval '1 day' * (1 - number::float8 / $1::int) AS at FROM generate_series(1, $1::int) AS number
) AS batch`

/** $1 members of each batch */
const JOBS = `
INSERT INTO good_jobs (id, active_job_id, batch_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at,
  updated_at, performed_at, finished_at, executions_count)
SELECT id, id, batch_id, 'NoopJob', 'bench', 0, '{}', at, at, at, at, at, 1
FROM (
  SELECT gen_random_uuid() AS id, good_job_batches.id AS batch_id, created_at AS at FROM good_job_batches, generate_series(1, $1::int)
) AS job`

const INTERVAL_MS = 60_000

/** How many of them have ended since the previous sweep. */
const SCENES = [
  { name: 'none ended since the last sweep', key: { place: 'none ended' }, part: 0 },
  { name: 'a tenth ended since the last sweep', key: { place: 'a tenth ended' }, part: 0.1 },
].map((scene) => ({ ...scene, family: scene.name, x: 0 }))

/** The cost of a sweep that finds nothing to complete: all its time counts, as if it kept one core busy. */
export const sweepSuite: Suite = {
  name: 'sweep',
  run: async (options) => {
    const count = Math.max(1_000, Math.round(100_000 * options.scale))
    const fill = async (client: Client): Promise<void> => {
      await installSchema(client)
      await client.query(BATCHES, [count])
      await client.query(JOBS, [MEMBERS])
      await settle(client)
    }
    const series = await alternate(options, SCENES, async ({ part }) => {
      const database = await options.server.database(`sweep ${count}`, fill)
      const adapter = new Adapter({ databaseUrl: database.url })
      const sweep = () =>
        sweepBatches({
          database: adapter.database,
          check: checkOptionsOf(adapter),
          processId: randomUUID(),
          windowMs: 2_592_000_000,
          graceMs: 30_000,
          endedSince: new Date(Date.now() - part * 86_400_000).toISOString(),
        })
      await sweep()
      const startedMs = performance.now()
      const { checked } = await sweep()
      const tookMs = performance.now() - startedMs
      await adapter.close()
      await database.drop()
      const note = `${Math.round(tookMs)} ms, ${checked} looked at more closely`
      return { value: (100 * tookMs) / INTERVAL_MS, size: count, note }
    })
    const title = `Sweep of ${count.toLocaleString('en')} healthy batches of ${MEMBERS} every minute`
    return [{ id: 'sweep', title, unit: '% of one core', series }]
  },
}
