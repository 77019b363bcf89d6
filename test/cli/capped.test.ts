import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli, runJson } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'
import { SlowNetwork } from '../support/slow-network.ts'

const world = await openWorld()
afterAll(() => world.close())

/** More due jobs than `doctor` reads, and more batches than a search reads with two statements. */
const JOBS = 20_001
const BATCHES = 4_100
/** Two statements of a search take longer than its time limit. */
const SLOW_MS = 160

beforeAll(async () => {
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT id, id, 'ManyJob', 'many', 0, '{"executions":0}', at, at, at
     FROM (SELECT gen_random_uuid() AS id, now() AT TIME ZONE 'UTC' - interval '1 day' + n * interval '1 second' AS at
       FROM generate_series(1, $1::int) AS n) AS job`,
    [JOBS],
  )
  await world.sql(
    `INSERT INTO good_job_batches (id, created_at, updated_at, enqueued_at, discarded_at, jobs_finished_at, finished_at, description)
     SELECT gen_random_uuid(), at, at, CASE WHEN n > 1 THEN at END, CASE WHEN n > $1::int - 3 THEN at END, CASE WHEN n > 1 THEN at END,
       CASE WHEN n > 1 THEN at END, CASE WHEN n = 1 THEN 'pending one' END
     FROM (SELECT n, now() AT TIME ZONE 'UTC' - interval '1 day' + n * interval '1 second' AS at
       FROM generate_series(1, $1::int) AS n) AS batch`,
    [BATCHES],
  )
  await world.sql('VACUUM ANALYZE good_jobs, good_job_batches')
})

const goodJob = (url: string, ...args: string[]) => runCli(args, { env: { DATABASE_URL: url } })

/** The output of a search on all pages after the first one. */
const restOf = async (stdout: string, ...search: string[]): Promise<string> => {
  const [, page] = /--after (\S+)$/m.exec(stdout) ?? []
  if (page === undefined) return ''
  const { stdout: more } = await goodJob(world.url, ...search, '--after', page)
  return `${more}${await restOf(more, ...search)}`
}

test('doctor reads the oldest due jobs, and prints that more exist', async () => {
  const { code, stdout } = await goodJob(world.url, 'doctor')
  expect(stdout).toContain('Queue "many" has 20000 due jobs or more of class ManyJob and no worker')
  expect(code).toBe(1)
})

test('a mass action counts to ten thousand, and prints that more exist', async () => {
  const asked = (...filter: string[]) => goodJob(world.url, 'jobs', 'discard', ...filter)
  expect((await asked('--class', 'ManyJob')).stderr).toContain('Discard 10000 or more jobs?')
  expect((await asked('--queue', 'many', '--state', 'scheduled', '--state', 'queued')).stderr).toContain(
    'Discard 10000 or more jobs?',
  )
})

test('searches for few among many jobs end in time, print their position, and continue from there', async () => {
  await using slow = await SlowNetwork.start(world.url, SLOW_MS)
  const filter = ['--queue', 'many', '--class', 'ManyJob', '--state', 'retried', '--state', 'running']
  const search = ['jobs', 'list', ...filter]
  const { stdout } = await goodJob(slow.url, ...search)
  expect(stdout).toMatch(/^\nSearched back to \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; further back: --after \S+\n$/)
  expect(await restOf(stdout, ...search)).toMatch(/No jobs\.\n$/)
  expect((await goodJob(slow.url, 'jobs', 'discard', ...filter)).stderr).toContain('Discard 0 or more jobs?')
})

test('a search for few among many batches ends in time, prints its position, and continues from there', async () => {
  await using slow = await SlowNetwork.start(world.url, SLOW_MS)
  const search = ['batches', 'list', '--state', 'pending']
  const { stdout } = await goodJob(slow.url, ...search)
  expect(stdout).toMatch(/^\nSearched back to .*; further back: --after \S+\n$/)
  expect(await restOf(stdout, ...search)).toMatch(/pending +.*pending one\n$/)
  expect(await runJson(slow.url, ...search)).toMatchObject({ batches: [], next: expect.any(String), is_cut: true })
})

test('a search for unproven batches ends in time, prints which were not examined, and continues from there', async () => {
  await using slow = await SlowNetwork.start(world.url, SLOW_MS)
  const search = ['batches', 'list', '--unproven']
  const { stdout } = await goodJob(slow.url, ...search)
  expect(stdout.match(/no member succeeded/g)).toHaveLength(1)
  expect(stdout).toMatch(/^Searched the batches created since .*; older ones were not examined\.$/m)
  expect((await restOf(stdout, ...search)).match(/no member succeeded/g)).toHaveLength(2)
  expect(await runJson(slow.url, ...search)).toMatchObject({
    batches: [{}],
    is_cut: true,
    searched_until: expect.any(String),
  })
  expect((await goodJob(slow.url, 'doctor')).stdout).toMatch(/created since .*; older ones were not examined\.$/m)
})
