import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConcurrencyExceededError } from '../../src/errors.ts'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import type { ConcurrencyRuleOptions } from '../../src/job/concurrency/rules.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { jobClass, openWorld, record } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_batches'))

const ruled = (rule: ConcurrencyRuleOptions): JobConstructor =>
  jobClass(
    'MemberJob',
    () => {},
    (made) => made.concurrencyRule({ applyLabel: rule.label !== undefined, ...rule }),
  )
const CallbackJob = jobClass('CallbackJob', () => {})
const many = (made: JobConstructor, count: number): Job[] => Array.from({ length: count }, () => new made())
const storedIds = async (): Promise<string[]> =>
  (await world.sql<{ id: string }>('SELECT id FROM good_jobs WHERE batch_id IS NOT NULL ORDER BY id')).map(
    ({ id }) => id,
  )
const idsOf = (jobs: readonly Job[]): string[] => jobs.map(({ jobId }) => jobId).sort()

/** Every way to give members to a batch. */
const WAYS: readonly (readonly [string, (jobs: readonly Job[]) => Promise<Batch>])[] = [
  ['batch.enqueue', (jobs) => new Batch().enqueue([...jobs])],
  ['Batch.enqueueAll', async (jobs) => (await Batch.enqueueAll([[new Batch(), [...jobs]]]))[0] as Batch],
  [
    'a block',
    (jobs) =>
      Batch.enqueue({}, async () => {
        for (const job of jobs) await job.enqueue()
      }),
  ],
  ['performAllLater in a block', (jobs) => Batch.enqueue({}, () => performAllLater(jobs))],
  [
    'batch.add',
    async (jobs) => {
      const batch = new Batch()
      await batch.add([...jobs])
      return batch.enqueue()
    },
  ],
]

describe.each(WAYS)('%s', (_way, enqueueBatch) => {
  test('stores the first jobs of the list up to the limit, and emits which jobs were refused', async () => {
    const MemberJob = ruled({ label: 'mail', totalLimit: 3 })
    await MemberJob.performLater()
    const jobs = many(MemberJob, 5)
    const refusals = record('enqueue_concurrency_limit_exceeded')
    const members = record('batch_members_refused')
    const batch = await enqueueBatch(jobs)
    refusals.stop()
    members.stop()
    expect(await storedIds()).toEqual(idsOf(jobs.slice(0, 2)))
    expect(jobs.map((job) => job.successfullyEnqueued)).toEqual([true, true, false, false, false])
    expect(jobs.map((job) => job.enqueueError instanceof ConcurrencyExceededError)).toEqual([
      false,
      false,
      true,
      true,
      true,
    ])
    expect(jobs[4]?.providerJobId).toBe(null)
    expect(refusals.seen.map(({ jobId }) => jobId)).toEqual(jobs.slice(2).map(({ jobId }) => jobId))
    expect(members.seen).toEqual([{ batchId: batch.id, description: null, refused: 3, jobs: 5 }])
    expect(batch.finishedAt).toBe(null)
  })
})

test('a batch whose members were all refused succeeds, and calls its callbacks', async () => {
  const MemberJob = ruled({ label: 'mail', totalLimit: 0 })
  const members = record('batch_members_refused')
  const batch = await Batch.enqueue({ onSuccess: CallbackJob, onFinish: CallbackJob }, many(MemberJob, 2))
  members.stop()
  expect(members.seen).toEqual([{ batchId: batch.id, description: null, refused: 2, jobs: 2 }])
  expect(batch.discardedAt).toBe(null)
  expect(batch.jobsFinishedAt).toBeInstanceOf(Date)
  const callbacks = await world.sql(
    "SELECT serialized_params->'arguments'->1->'event'->>'value' AS event FROM good_jobs ORDER BY 1",
  )
  expect(callbacks).toEqual([{ event: 'finish' }, { event: 'success' }])
})

test('the enqueue of a refused member is emitted as aborted', async () => {
  const MemberJob = ruled({ label: 'mail', totalLimit: 0 })
  const enqueues = record('enqueue')
  await Batch.enqueue({}, () => new MemberJob().enqueue())
  enqueues.stop()
  expect(enqueues.seen).toEqual([expect.objectContaining({ jobClass: 'MemberJob', aborted: true })])
})

test('members of other classes count where they carry the label', async () => {
  const FreeJob = jobClass('FreeJob', () => {})
  const MemberJob = ruled({ label: 'mail', totalLimit: 1 })
  const [free, member] = [new FreeJob().set({ labels: ['mail'] }), new MemberJob()]
  await new Batch().enqueue([free, member])
  expect([free, member].map((job) => job.successfullyEnqueued)).toEqual([true, false])
})

test('throttles and keys count each accepted member', async () => {
  const ThrottledJob = ruled({ key: 'k', enqueueThrottle: [2, 60] })
  const jobs = many(ThrottledJob, 3)
  for (const job of jobs) job.concurrencyKey = 'k'
  await new Batch().enqueue(jobs)
  expect(jobs.map((job) => job.successfullyEnqueued)).toEqual([true, true, false])
})

test('a refused member can be added again when there is room', async () => {
  const MemberJob = ruled({ label: 'mail', totalLimit: 1 })
  const [first, second] = [new MemberJob(), new MemberJob()]
  const batch = await new Batch().enqueue([first, second])
  await world.sql('UPDATE good_jobs SET finished_at = now() WHERE id = $1', [first.jobId])
  await batch.add(second)
  expect(second).toMatchObject({ successfullyEnqueued: true, enqueueError: null, providerJobId: second.jobId })
})

test('a job that is enqueued already joins without a check', async () => {
  const MemberJob = ruled({ label: 'mail', totalLimit: 1 })
  const job = new MemberJob()
  await job.enqueue()
  await new Batch().enqueue(job)
  expect(await storedIds()).toEqual([job.jobId])
  expect(job).toMatchObject({ successfullyEnqueued: true, enqueueError: null })
})

test('a key function that throws leaves neither batch nor members', async () => {
  const BrokenJob = jobClass(
    'BrokenJob',
    () => {},
    (made) =>
      made.controlConcurrencyWith({
        totalLimit: 1,
        key: () => {
          throw new RangeError('no account')
        },
      }),
  )
  const MemberJob = ruled({ label: 'mail', totalLimit: 1 })
  await expect(new Batch().enqueue([new MemberJob(), new BrokenJob()])).rejects.toThrow('no account')
  expect(await world.sql('SELECT id FROM good_jobs UNION ALL SELECT id FROM good_job_batches')).toEqual([])
})

test('more scopes than one transaction may lock are refused with the way out', async () => {
  const KeyedJob = jobClass(
    'KeyedJob',
    () => {},
    (made) => made.controlConcurrencyWith({ key: (job) => job.jobId, totalLimit: 1 }),
  )
  await expect(new Batch().enqueue(many(KeyedJob, 1_001))).rejects.toThrow(
    'need 1001 locks in one transaction, more than 1000: enqueue the jobs in portions, in a batch by batch.add(jobs)',
  )
  const batch = new Batch()
  await batch.add(many(KeyedJob, 1_000))
  await batch.add(many(KeyedJob, 1))
  await batch.enqueue()
  expect(await storedIds()).toHaveLength(1_001)
})
