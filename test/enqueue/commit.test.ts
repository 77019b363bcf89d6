import type { Client } from 'pg'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { RecordMissingError } from '../../src/errors.ts'
import { type EventName, events } from '../../src/events.ts'
import type { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { openWorld, record } from '../support/harness.ts'
import { batchRows, MemberJob, make } from './members.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_batches'))

const { members, callbacks } = batchRows(world)

/** Runs `work` in a transaction of the caller, then commits or rolls back. */
const inTransaction = async (end: 'COMMIT' | 'ROLLBACK', work: (client: Client) => Promise<unknown>): Promise<void> => {
  const client = await world.database.connect()
  await client.query('BEGIN')
  await work(client)
  await client.query(end)
  await client.end()
}

/** The names of the job and batch events during `work`. */
const eventsDuring = async (work: () => Promise<unknown>): Promise<unknown[]> => {
  const names: EventName[] = [
    'enqueue',
    'enqueue_at',
    'enqueue_all',
    'batch_callback_enqueued',
    'batch_completed',
    'batch_discarded',
    'batch_recovered',
    'batch_unproven',
  ]
  const seen: unknown[] = []
  const listeners = names.map((name) => {
    const listener = ({ isInTransaction, error }: { isInTransaction?: true; error?: unknown }) =>
      void seen.push([name, ...(isInTransaction ? ['in a transaction'] : []), ...(error ? ['failed'] : [])].join(', '))
    events.on(name, listener as never)
    return () => events.off(name, listener as never)
  })
  await work()
  for (const stop of listeners) stop()
  return seen
}

describe("after a rollback of the caller's transaction", () => {
  test('an added job can be added again, with its batch', async () => {
    const batch = new Batch({ description: 'again' })
    const job = make()
    await inTransaction('ROLLBACK', (client) => batch.add(job, { transaction: client }))
    expect(batch).toMatchObject({ isPersisted: false, createdAt: null })
    expect(await batch.add(job)).toEqual([job])
    expect(await members(batch)).toEqual([{ id: job.jobId }])
    expect((await Batch.find(batch.id)).description).toBe('again')
    expect((await world.job(job.jobId)).serialized_params).toMatchObject({ provider_job_id: null })
  })

  test.each([
    ['performLater', (job: Job, client: Client) => job.enqueue({ transaction: client })],
    ['performAllLater', (job: Job, client: Client) => performAllLater([job], { transaction: client })],
    ['Batch.enqueue', (job: Job, client: Client) => Batch.enqueue({ transaction: client }, job)],
    ['Batch.enqueueAll', (job: Job, client: Client) => Batch.enqueueAll([[{}, job]], { transaction: client })],
  ])('a job of %s is enqueued by each way, also as a member', async (_name, enqueue) => {
    for (const again of [
      (job: Job) => job.enqueue(),
      (job: Job) => performAllLater([job]),
      (job: Job) => Batch.enqueue({}, job),
      (job: Job) => Batch.enqueueAll([[{}, job]]),
    ]) {
      const job = make()
      await inTransaction('ROLLBACK', (client) => enqueue(job, client))
      expect(await world.sql('SELECT id FROM good_jobs')).toEqual([])
      await again(job)
      expect(job).toMatchObject({ successfullyEnqueued: true, providerJobId: job.jobId })
      expect(await world.sql('SELECT id FROM good_jobs')).toEqual([{ id: job.jobId }])
      await world.sql('TRUNCATE good_jobs')
    }
  })

  test('a batch with a row keeps the values read from it and those assigned', async () => {
    const batch = await new Batch({ description: 'old' }).save()
    batch.description = 'new'
    await inTransaction('ROLLBACK', (client) => batch.enqueue([], { transaction: client }))
    expect(batch).toMatchObject({ description: 'new', isEnqueued: false, isFinished: false })
    await batch.enqueue(make())
    expect(await Batch.find(batch.id)).toMatchObject({ description: 'new', isEnqueued: true, isFinished: false })
  })

  test('the transaction option of a job is not used again', async () => {
    const client = await world.database.connect()
    await client.query('BEGIN')
    const job = make().set({ transaction: client })
    await job.enqueue()
    await client.query('ROLLBACK')
    expect(await job.enqueue()).toBe(job)
    expect(await world.sql('SELECT id FROM good_jobs')).toHaveLength(1)
    await client.end()
  })
})

describe("after a commit of the caller's transaction", () => {
  test('job and batch can be used again: the job joins the batch, and the batch updates its row', async () => {
    const batch = new Batch({ description: 'first' })
    const job = make()
    await inTransaction('COMMIT', async (client) => {
      await job.enqueue({ transaction: client })
      await batch.enqueue([], { transaction: client })
    })
    batch.description = 'second'
    await batch.enqueue(job)
    expect(await members(batch)).toEqual([{ id: job.jobId }])
    expect(await Batch.find(batch.id)).toMatchObject({ description: 'second', finishedAt: null })
  })

  test('a batch whose times were never loaded keeps them in its row when members are added', async () => {
    const batch = new Batch()
    await inTransaction('COMMIT', (client) => batch.enqueue(make(), { transaction: client }))
    await world.sql('UPDATE good_job_batches SET discarded_at = created_at')
    await batch.add(make())
    expect(batch).toMatchObject({ isEnqueued: true, isDiscarded: true })
    expect(await members(batch)).toHaveLength(2)
  })

  test('a job that has run since then and whose row was deleted does not run a second time', async () => {
    const job = make()
    await inTransaction('COMMIT', (client) => job.enqueue({ transaction: client }))
    await world.sql('DELETE FROM good_jobs')
    await expect(Batch.enqueue({ description: 'late' }, job)).rejects.toThrow(RecordMissingError)
    expect(await world.sql('SELECT id FROM good_jobs')).toEqual([])
    expect(await world.sql('SELECT id FROM good_job_batches')).toEqual([])
  })
})

test('a job that was enqueued and then put into a batch, all of it rolled back, is enqueued again', async () => {
  const [job, batch] = [make(), new Batch()]
  await inTransaction('ROLLBACK', async (client) => {
    await job.enqueue({ transaction: client })
    await batch.add(job, { transaction: client })
    await batch.enqueue(job, { transaction: client })
  })
  const again = await Batch.enqueue({}, job)
  expect(await members(again)).toEqual([{ id: job.jobId }])
})

test('jobs and batches can be used repeatedly inside one transaction of the caller, also after a rollback to a savepoint', async () => {
  const [job, other, batch] = [make(), make(), new Batch()]
  await inTransaction('COMMIT', async (client) => {
    await client.query('SAVEPOINT before')
    await job.enqueue({ transaction: client })
    await batch.enqueue([], { transaction: client })
    await client.query('ROLLBACK TO SAVEPOINT before')
    await other.enqueue({ transaction: client })
    await batch.enqueue([job, other], { transaction: client })
    await batch.add(make(), { transaction: client })
  })
  expect(await members(batch)).toHaveLength(3)
  expect(await callbacks()).toEqual([])
})

test('a job of a transaction that is still open cannot join a batch outside of it, as the batch would wait for the transaction', async () => {
  const job = make()
  await inTransaction('COMMIT', async (client) => {
    await job.enqueue({ transaction: client })
    await expect(Batch.enqueue({}, job)).rejects.toThrow(
      `MemberJob ${job.jobId} was enqueued in a transaction that is still open: pass that transaction, or commit it first`,
    )
  })
  const batch = await Batch.enqueue({}, job)
  expect(await members(batch)).toEqual([{ id: job.jobId }])
})

describe('when our own COMMIT fails', () => {
  const refuseCommits = async () => {
    await world.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'refused at the commit' USING ERRCODE = '23514'; END $$`)
    await world.sql(`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON good_jobs DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION refuse()`)
    return () => world.sql('DROP FUNCTION refuse CASCADE')
  }

  test.each([
    ['batch.add', (batch: Batch, jobs: Job[]) => batch.add(jobs)],
    ['batch.enqueue', (batch: Batch, jobs: Job[]) => batch.enqueue(jobs)],
    ['batch.enqueue with a block', (batch: Batch, jobs: Job[]) => batch.enqueue(() => performAllLater(jobs))],
    [
      'batch.enqueue with a block of single jobs',
      (batch: Batch, jobs: Job[]) => batch.enqueue(() => Promise.all(jobs.map((job) => job.enqueue()))),
    ],
    ['Batch.enqueueAll', (batch: Batch, jobs: Job[]) => Batch.enqueueAll([[batch, jobs]])],
  ])('%s leaves jobs and batch unchanged, emits no success, and can be called again', async (_name, enqueue) => {
    const [batch, jobs] = [new Batch({ properties: { order: 7 } }), [make(), make()]]
    const allowCommits = await refuseCommits()
    const seen = await eventsDuring(async () => {
      await expect(enqueue(batch, jobs)).rejects.toThrow('refused at the commit')
    })
    expect(seen.filter((name) => !String(name).endsWith('failed') && name !== 'enqueue_all')).toEqual([])
    expect(batch).toMatchObject({ isPersisted: false, enqueuedAt: null, properties: { order: 7 } })
    for (const job of jobs) expect(job).toMatchObject({ successfullyEnqueued: false, providerJobId: null })
    await allowCommits()
    await enqueue(batch, jobs)
    expect(await members(batch)).toHaveLength(2)
    expect(batch).toMatchObject({ isPersisted: true, properties: { order: 7 } })
    for (const job of jobs) expect(job).toMatchObject({ successfullyEnqueued: true, providerJobId: job.jobId })
  })

  test('a bulk of several pages leaves its jobs unchanged', async () => {
    const jobs = Array.from({ length: 1_001 }, make)
    const allowCommits = await refuseCommits()
    const all = record('enqueue_all')
    await expect(performAllLater(jobs)).rejects.toThrow('refused at the commit')
    expect(jobs.some((job) => job.successfullyEnqueued || job.providerJobId !== null)).toBe(false)
    await allowCommits()
    await performAllLater(jobs)
    expect(all.seen.map(({ enqueuedCount }) => enqueuedCount)).toEqual([0, 1_001])
    all.stop()
  })

  test.each([
    ['a batch', (job: Job, batch: Batch) => batch.enqueue(job)],
    ['a batch of many', (job: Job, batch: Batch) => Batch.enqueueAll([[batch, job]])],
  ])('its answer is lost on the way: %s is not claimed, and the next call finds its rows', async (_name, enqueue) => {
    await using network = await FaultyNetwork.start(world.url)
    const adapter = new Adapter({ databaseUrl: network.url })
    const [job, batch] = [make(), new Batch({}, adapter)]
    const lost = network.loseAnswer('good-job-node', /COMMIT\0/)
    await expect(enqueue(job, batch)).rejects.toThrow(/terminated/)
    await lost
    expect([batch.isPersisted, job.successfullyEnqueued, job.providerJobId]).toEqual([false, false, null])
    expect(await members(batch)).toEqual([{ id: job.jobId }])
    await enqueue(job, batch)
    expect([batch.isPersisted, job.successfullyEnqueued, job.providerJobId]).toEqual([true, true, job.jobId])
    expect(await members(batch)).toEqual([{ id: job.jobId }])
    await adapter.close()
  })
})

describe('the emitted events', () => {
  test("of a batch in the caller's transaction are those of its jobs, marked as in a transaction, and none of the batch", async () => {
    const enqueue = (client: Client) =>
      Batch.enqueue({ onSuccess: MemberJob, transaction: client }, async () => {
        await make().enqueue()
        await make().enqueue({ wait: 60 })
        await performAllLater([make()])
      })
    const seen = await eventsDuring(() =>
      inTransaction('ROLLBACK', async (client) => {
        await enqueue(client)
        await Batch.enqueue({ onSuccess: MemberJob, transaction: client })
        await make().enqueue({ transaction: client })
        await performAllLater([make()], { transaction: client })
      }),
    )
    expect(seen).toEqual([
      'enqueue, in a transaction',
      'enqueue_at, in a transaction',
      'enqueue_all, in a transaction',
      'enqueue, in a transaction',
      'enqueue_all, in a transaction',
    ])
  })

  test("of a batch in the adapter's own transaction are those of jobs and batch, after the commit", async () => {
    const batch = new Batch({ onSuccess: MemberJob })
    let isStored = false
    const stop = events
      .once('enqueue', () => true)
      .then(async () => {
        isStored = batch.isPersisted
      })
    const seen = await eventsDuring(async () => {
      await batch.enqueue(() => make().enqueue())
      await Batch.enqueue({ onSuccess: MemberJob })
    })
    await stop
    expect(isStored).toBe(true)
    expect(seen).toEqual(['enqueue', 'batch_completed', 'batch_callback_enqueued'])
  })

  test('of jobs of a block that throws are failed enqueues', async () => {
    const jobs = [make(), make()]
    const seen = await eventsDuring(async () => {
      const failing = Batch.enqueue({}, async () => {
        for (const job of jobs) await job.enqueue()
        throw new Error('in the block')
      })
      await expect(failing).rejects.toThrow('in the block')
    })
    expect(seen).toEqual(['enqueue, failed', 'enqueue, failed'])
    expect(jobs.map(({ successfullyEnqueued }) => successfullyEnqueued)).toEqual([false, false])
  })
})
