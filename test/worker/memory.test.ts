import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, expect, test } from 'vitest'
import { jobClass, openWorld, performed, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const MEGABYTE = 1_000_000

/** The reachable memory in megabytes. */
const heldMb = (): number => {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / MEGABYTE
}

const INSERT_JOBS = `
INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
SELECT id, id, 'LargeJob', 'default', 0,
  jsonb_build_object('job_class', 'LargeJob', 'job_id', id, 'queue_name', 'default', 'priority', 0, 'executions', 0,
    'exception_executions', '{}'::jsonb, 'arguments', jsonb_build_array(repeat('0123456789', $2::int / 10)),
    'locale', 'en', 'timezone', 'UTC', 'enqueued_at', '2026-01-31T12:00:00.000000000Z'),
  at, at, at
FROM (SELECT gen_random_uuid() AS id, now() AT TIME ZONE 'UTC' AS at FROM generate_series(1, $1::int)) AS job
RETURNING id`

test.each([0, 20])('the arguments of an ended job can be garbage-collected (deferStart %i)', async (deferStart) => {
  const lengths: number[] = []
  const LargeJob = jobClass('LargeJob', (_job, text) => {
    lengths.push(String(text).length)
  })
  const run = async (jobs: number, bytes: number) => {
    const rows = await world.sql<{ id: string }>(INSERT_JOBS, [jobs, bytes])
    const done = performed(...rows.map(({ id }) => id))
    await world.sql(`NOTIFY good_job, '{"queue_name":"default"}'`)
    await done
  }
  await using _capsule = await world.start({ jobs: [LargeJob], threads: 2, deferStart, pollInterval: -1 })
  await run(2, 10)
  const before = heldMb()
  await run(8, 5 * MEGABYTE)
  expect(lengths).toEqual([10, 10, ...Array(8).fill(5 * MEGABYTE)])
  // Less than one copy of one job's arguments. The engine gives buffers back in the background.
  await until(async () => heldMb() - before < 4, 'nothing is held')
})
