import { afterAll, beforeEach, expect, test } from 'vitest'
import { ConcurrencyExceededError } from '../../src/errors.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { ago, Gate, jobClass, openWorld, performed } from '../support/harness.ts'
import { controlled } from './limited-classes.ts'

// The claims of docs/unique-jobs.md.
const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_concurrency_claims'))

const isEnqueued = async (job: Promise<unknown>): Promise<boolean> => (await job) !== false
const UniqueJob = controlled({ key: (job) => `sync-${job.arguments[0]}`, totalLimit: 1 })
const unique = (...args: unknown[]) => isEnqueued(UniqueJob.performLater(...(args as never[])))

test('with totalLimit 1 a second job with the key is not enqueued: performLater returns false and stores nothing', async () => {
  expect([await unique(7), await unique(7), await unique(8)]).toEqual([true, false, true])
  const job = UniqueJob.set({}).build(...([7] as never[]))
  expect(await job.enqueue()).toBe(false)
  expect(job.enqueueError).toBeInstanceOf(ConcurrencyExceededError)
  expect(await world.sql('SELECT concurrency_key FROM good_jobs ORDER BY 1')).toEqual([
    { concurrency_key: 'sync-7' },
    { concurrency_key: 'sync-8' },
  ])
})

test('the first job wins: arguments, queue and priority of a further one are not stored', async () => {
  expect(await unique(7, 'first')).toBe(true)
  expect(
    await isEnqueued(UniqueJob.set({ queue: 'other', priority: -9 }).performLater(...([7, 'second'] as never[]))),
  ).toBe(false)
  expect(await world.sql(`SELECT queue_name, serialized_params->'arguments' AS arguments FROM good_jobs`)).toEqual([
    { queue_name: 'default', arguments: [7, 'first'] },
  ])
})

test('a key counts while its job is scheduled, waits for a retry or runs, and no longer after its end', async () => {
  const gate = new Gate()
  const SlowJob = jobClass(
    'SlowJob',
    (job) => gate.pass(job),
    (made) => made.controlConcurrencyWith({ key: 'slow', totalLimit: 1 }),
  )
  const slow = () => isEnqueued(SlowJob.performLater())
  const later = await SlowJob.set({ wait: 600 }).performLater()
  expect([later === false, await slow()]).toEqual([false, false])
  await world.sql(`UPDATE good_jobs SET error = 'Error: no', executions_count = 1`)
  expect(await slow()).toBe(false)
  await world.adapter.discardJob(later === false ? '' : later.jobId)
  await using _capsule = await world.start({ jobs: [SlowJob] })
  const job = await SlowJob.performLater()
  if (job === false) throw new Error('refused')
  const done = performed(job.jobId)
  await gate.entered
  expect(await slow()).toBe(false)
  gate.open()
  await done
  expect(await slow()).toBe(true)
})

test('with enqueueLimit 1 and performLimit 1 one job may wait while another one runs', async () => {
  const gate = new Gate()
  const NextJob = jobClass(
    'NextJob',
    (job) => gate.pass(job),
    (made) => made.controlConcurrencyWith({ key: 'next', enqueueLimit: 1, performLimit: 1 }),
  )
  await using _capsule = await world.start({ jobs: [NextJob], queues: '*:3' })
  const first = await NextJob.performLater()
  await gate.entered
  const second = await NextJob.performLater()
  expect(await isEnqueued(NextJob.performLater())).toBe(false)
  if (first === false || second === false) throw new Error('refused')
  expect(await world.job(second.jobId)).toMatchObject({ performed_at: null, locked_by_id: null })
  const done = performed(first.jobId, second.jobId)
  gate.open()
  await done
})

test('enqueueThrottle counts jobs that have ended, as long as their rows are kept', async () => {
  const HourlyJob = controlled({ key: 'hourly', enqueueThrottle: [1, 3_600] })
  const hourly = () => isEnqueued(HourlyJob.performLater())
  expect(await hourly()).toBe(true)
  await world.sql('UPDATE good_jobs SET finished_at = now()')
  expect(await hourly()).toBe(false)
  await world.sql('DELETE FROM good_jobs')
  expect(await hourly()).toBe(true)
  await world.sql('UPDATE good_jobs SET created_at = $1, finished_at = now()', [ago(3_601)])
  expect(await hourly()).toBe(true)
})

test('the key alone counts, whatever the class; without a key there is no limit', async () => {
  await world.insert({ job_class: 'RubyJob', concurrency_key: 'sync-7' })
  expect(await unique(7)).toBe(false)
  const NullJob = controlled({ key: () => null, totalLimit: 1 })
  expect([await isEnqueued(NullJob.performLater()), await isEnqueued(NullJob.performLater())]).toEqual([true, true])
})

test('performAllLater checks nothing', async () => {
  await performAllLater([1, 2].map(() => UniqueJob.set({}).build(...([7] as never[]))))
  expect(await world.sql('SELECT count(*)::int AS jobs FROM good_jobs')).toEqual([{ jobs: 2 }])
})

test("a refused job leaves the caller's transaction as it was, and a rollback makes room again", async () => {
  expect(await unique(7)).toBe(true)
  const transaction = await world.database.connect()
  const inTransaction = (id: number) => isEnqueued(UniqueJob.set({ transaction }).performLater(...([id] as never[])))
  await transaction.query('CREATE TABLE accounts (orders int)')
  await transaction.query('BEGIN')
  await transaction.query('INSERT INTO accounts VALUES (1)')
  expect([await inTransaction(7), await inTransaction(8)]).toEqual([false, true])
  await transaction.query('COMMIT')
  expect(await world.sql('SELECT orders FROM accounts')).toEqual([{ orders: 1 }])
  expect(await unique(8)).toBe(false)

  await transaction.query('BEGIN')
  expect([await inTransaction(9), await inTransaction(9)]).toEqual([true, false])
  await transaction.query('ROLLBACK')
  expect(await unique(9)).toBe(true)
  await transaction.end()
})

test('performThrottle lets a job wait until the window allows its start', async () => {
  const ApiJob = jobClass(
    'ApiJob',
    () => undefined,
    (made) => made.controlConcurrencyWith({ key: 'api', performThrottle: [1, 0.5] }),
  )
  const jobs = [await ApiJob.performLater(), await ApiJob.performLater()]
  const done = performed(...jobs.map((job) => (job === false ? '' : job.jobId)))
  await using _capsule = await world.start({ jobs: [ApiJob] })
  await done
  const [first, second] = await world.sql<{ created_at: Date }>('SELECT created_at FROM good_job_executions ORDER BY 1')
  expect((second?.created_at.getTime() ?? 0) - (first?.created_at.getTime() ?? 0)).toBeGreaterThanOrEqual(500)
  expect(await world.sql('SELECT executions_count, error FROM good_jobs')).toEqual([
    { executions_count: 1, error: null },
    { executions_count: 1, error: null },
  ])
})
