import { afterAll, beforeEach, expect, test } from 'vitest'
import type { JobConstructor } from '../../src/job/base.ts'
import { runCli, runJson } from '../support/cli.ts'
import { ago, jobClass, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_processes, good_job_concurrency_claims'))

interface Report {
  readonly is_healthy: boolean
  readonly problems: readonly string[]
  readonly advice: readonly { readonly text: string; readonly statements: readonly string[] }[]
}
const doctor = () => runJson<Report>(world.url, 'doctor')

const limitedJob = (name: string, declare: (made: JobConstructor) => void) => jobClass(name, () => {}, declare)
/** A job that no worker starts while the test runs, as a Ruby class without the extension enqueues it. */
const addJob = (columns: Readonly<Record<string, unknown>>) => world.insert({ scheduled_at: ago(-3_600), ...columns })

test('doctor reports jobs of a limited class whose rows carry no key, so that the limit does not count them', async () => {
  const keyed = limitedJob('KeyJob', (made) => made.controlConcurrencyWith({ key: 'k', performLimit: 1 }))
  const computed = limitedJob('TenantJob', (made) => made.controlConcurrencyWith({ key: () => 't', performLimit: 1 }))
  await using _capsule = await world.start({ jobs: [keyed, computed] })
  await addJob({ job_class: 'KeyJob', concurrency_key: 'k' })
  await addJob({ job_class: 'TenantJob', concurrency_key: 't' })
  await addJob({ job_class: 'TenantJob' })
  expect(await doctor()).toMatchObject({ is_healthy: true, problems: [] })

  await addJob({ job_class: 'KeyJob' })
  await world.sql(`DELETE FROM good_jobs WHERE concurrency_key = 't'`)
  const problems = [
    '1 job of KeyJob has no concurrency key, so its limit does not count it',
    '1 job of TenantJob has no concurrency key, so its limit does not count it',
  ]
  expect(await doctor()).toMatchObject({ is_healthy: false, problems })
  const { code, stdout } = await runCli(['doctor'], { env: { DATABASE_URL: world.url } })
  expect(code).toBe(1)
  for (const problem of problems) expect(stdout).toContain(`✖ ${problem}.`)
})

test('doctor reports a limited class none of whose jobs has a label of its rules', async () => {
  const labelled = limitedJob('LabelJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
  await using _capsule = await world.start({ jobs: [labelled] })
  await addJob({ job_class: 'LabelJob', labels: ['other'] })
  expect((await doctor()).problems).toEqual([
    'no job of LabelJob has a label of its concurrency rules (1 job), so they limit none',
  ])
  await addJob({ job_class: 'LabelJob', labels: [' api '] })
  expect((await doctor()).problems).toEqual([])
})

test('doctor reports a class whose rules differ between the processes that run it', async () => {
  const withLimit = (performLimit: number) =>
    limitedJob('SameJob', (made) => made.controlConcurrencyWith({ key: 'k', performLimit }))
  await using _one = await world.start({ jobs: [withLimit(1)] })
  {
    await using _same = await world.start({ jobs: [withLimit(1)] })
    expect((await doctor()).problems).toEqual([])
  }
  await using _other = await world.start({ jobs: [withLimit(2)] })
  expect((await doctor()).problems).toEqual([
    expect.stringMatching(/^the concurrency rules of SameJob differ between processes, such as \S+:\d+ and \S+:\d+$/),
  ])
})

test('doctor prints the index that helps the count of Ruby workers, until it exists', async () => {
  await using _capsule = await world.start({ jobs: [jobClass('OtherJob', () => {})] })
  await world.sql(
    `INSERT INTO good_jobs (job_class, queue_name, serialized_params, concurrency_key, scheduled_at, created_at, updated_at)
     SELECT 'RubyJob', 'ruby', '{}', 'crowded', now() + interval '1 day', now(), now() FROM generate_series(1, 10000)`,
  )
  expect((await doctor()).advice).toEqual([])
  await world.sql(
    `INSERT INTO good_job_concurrency_claims (key, job_id, state, created_at, updated_at)
     SELECT 'key:crowded', id, 0, now(), now() FROM good_jobs LIMIT 1`,
  )
  expect((await doctor()).advice).toEqual([])
  await world.sql(
    `INSERT INTO good_job_processes (id, state, created_at, updated_at)
     VALUES (gen_random_uuid(), '{"hostname":"ruby","pid":1,"schedulers":[{"queues":"ruby"}]}', now(), now() AT TIME ZONE 'UTC')`,
  )
  const { is_healthy, advice } = await doctor()
  expect(is_healthy).toBe(true)
  const statement =
    'CREATE INDEX CONCURRENTLY index_good_jobs_node_running_by_key ON good_jobs (concurrency_key, id) WHERE performed_at IS NOT NULL AND finished_at IS NULL;'
  expect(advice).toEqual([
    { text: expect.stringContaining('10000 unfinished jobs or more of key:crowded'), statements: [statement] },
  ])
  await world.sql(statement)
  expect((await doctor()).advice).toEqual([])
})
