import { afterAll, expect, test } from 'vitest'
import { runCli, runJson } from '../support/cli.ts'
import { enqueue, jobClass, next, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const OursJob = jobClass('OursJob', () => {})

interface Report {
  readonly is_healthy: boolean
  readonly advice: readonly { readonly text: string; readonly statements: readonly string[] }[]
}

const doctor = () => runJson<Report>(world.url, 'doctor')

const addForeign = (jobs: number) =>
  world.sql(
    `INSERT INTO good_jobs (job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT 'Ruby::OnlyJob', 'shared', 0, '{}', at, at, at
     FROM generate_series(1, $1::int), (SELECT (now() AT TIME ZONE 'UTC') - interval '1 hour' AS at) AS time`,
    [jobs],
  )

/** A process row of a Ruby worker, which counts as running these jobs. */
const addRubyWorker = () =>
  world.sql(
    `INSERT INTO good_job_processes (id, state, created_at, updated_at)
     VALUES (gen_random_uuid(), '{"hostname":"ruby","pid":1,"schedulers":[{"queues":"shared"}]}', now(), now() AT TIME ZONE 'UTC')`,
  )

test('doctor proposes an index if workers skip thousands of jobs that they do not run, until the index exists', async () => {
  await using _capsule = await world.start({ jobs: [OursJob], queues: 'shared;*' })
  await addRubyWorker()
  await addForeign(9_999)
  expect(await doctor()).toMatchObject({ is_healthy: true, advice: [] })

  const ran = next('perform_job')
  await enqueue(OursJob, { queue: 'shared' })
  await ran
  expect(await doctor()).toMatchObject({ is_healthy: true, advice: [] })

  await addForeign(1)
  const [server] = await world.sql<{ version: number }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS version`,
  )
  const { advice, is_healthy } = await doctor()
  expect(is_healthy).toBe(true)
  expect(advice).toEqual([
    {
      text: expect.stringMatching(
        /^Workers of queue "shared" skip 10,?000 due jobs or more that they do not run \(Ruby::OnlyJob\)/,
      ),
      statements:
        (server?.version ?? 0) < 17
          ? []
          : [
              'CREATE INDEX CONCURRENTLY index_good_jobs_node_by_queue_and_class ON good_jobs (queue_name, priority, created_at, job_class) WHERE finished_at IS NULL AND locked_by_id IS NULL;',
              'CREATE INDEX CONCURRENTLY index_good_jobs_node_by_class ON good_jobs (priority, created_at, job_class) WHERE finished_at IS NULL AND locked_by_id IS NULL;',
            ],
    },
  ])
  const { stdout, code } = await runCli(['doctor'], { env: { DATABASE_URL: world.url } })
  expect(code).toBe(0)
  for (const { text, statements } of advice) for (const line of [text, ...statements]) expect(stdout).toContain(line)

  for (const statement of advice.flatMap(({ statements }) => statements)) await world.sql(statement)
  if (advice[0]?.statements.length) expect(await doctor()).toMatchObject({ advice: [] })
})
