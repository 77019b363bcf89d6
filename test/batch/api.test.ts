import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConfigurationError, RecordMissingError } from '../../src/errors.ts'
import { TestAdapter } from '../../src/job/adapters/test-adapter.ts'
import { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { RubySymbol } from '../../src/serialize/values/ruby-values.ts'
import type { Capsule } from '../../src/worker/capsule.ts'
import { inTurn } from '../support/clean-up.ts'
import { jobClass, performed, type World } from '../support/harness.ts'
import { openBatchWorld, untilSettled } from './scene.ts'

const seen: { readonly name: string; readonly batchId: string | undefined; readonly args: readonly unknown[] }[] = []
const note = (job: Job, ...args: unknown[]) => void seen.push({ name: job.jobClass, batchId: job.batch?.id, args })

const Member = jobClass('Member', note)
const Told = jobClass('Told', note)
const Child = jobClass('Child', note)
const Parent = jobClass('Parent', async (job) => {
  note(job)
  await (Child as unknown as { performLater(): Promise<Job> }).performLater()
})
const Joiner = jobClass('Joiner', async (job, id) => {
  const batch = await Batch.find(String(id))
  await batch.add(job)
})
const Failing = jobClass('Failing', () => {
  throw new Error('no')
})
type Simple = { performLater(...args: unknown[]): Promise<Job | false>; new (...args: unknown[]): Job }
const simple = (made: unknown): Simple => made as Simple

let world: World
let capsule: Capsule
beforeAll(async () => {
  world = await openBatchWorld()
  capsule = await world.start({ jobs: [Member, Told, Child, Parent, Joiner, Failing] })
})
afterAll(
  inTurn(
    () => capsule.shutdown(),
    () => world.close(),
  ),
)

const membersOf = async (batch: Batch): Promise<number> =>
  (await world.sql('SELECT id FROM good_jobs WHERE batch_id = $1', [batch.id])).length

describe('Batch.enqueue', () => {
  test('a job enqueued in the block becomes a member, also after an await and in functions it calls', async () => {
    const deeper = async () => {
      await Promise.resolve()
      await simple(Member).performLater(2)
    }
    const batch = await Batch.enqueue({ description: 'block' }, async () => {
      await simple(Member).performLater(1)
      await deeper()
      await performAllLater([new (simple(Member))(3), new (simple(Member))(4)])
    })
    await simple(Member).performLater('outside')
    expect(await membersOf(batch)).toBe(4)
    await untilSettled(world, batch.id)
    expect(await (await Batch.find(batch.id)).status()).toMatchObject({
      total: 4,
      jobs: { succeeded: 4 },
      recovery: { state: 'none' },
    })
  })

  test('a job enqueued in nested blocks joins the innermost batch; after the inner block jobs join the outer batch again', async () => {
    let inner: Batch | undefined
    const outer = await Batch.enqueue({}, async () => {
      await simple(Member).performLater()
      inner = await Batch.enqueue({}, () => simple(Member).performLater())
      await simple(Member).performLater()
    })
    expect([await membersOf(outer), inner && (await membersOf(inner))]).toEqual([2, 1])
  })

  test('a block that throws leaves neither the batch nor its jobs in the database', async () => {
    const before = await world.sql('SELECT count(*) FROM good_jobs')
    const failing = Batch.enqueue({ description: 'thrown' }, async () => {
      await simple(Member).performLater()
      throw new Error('in the block')
    })
    await expect(failing).rejects.toThrow('in the block')
    expect(await world.sql(`SELECT id FROM good_job_batches WHERE description = 'thrown'`)).toEqual([])
    expect(await world.sql('SELECT count(*) FROM good_jobs')).toEqual(before)
  })

  test('a batch without members completes at once and fires success and finish [GJ-068]', async () => {
    const batch = await Batch.enqueue({ onSuccess: Told, onFinish: Told, onDiscard: Told })
    await untilSettled(world, batch.id)
    expect(
      seen
        .filter(({ batchId }) => batchId === batch.id)
        .map(({ args }) => String((args[1] as { event: unknown }).event))
        .toSorted(),
    ).toEqual(['finish', 'success'])
    await batch.reload()
    expect(batch).toMatchObject({ isSucceeded: true, isFinished: true })
  })

  test("a batch created in the caller's transaction exists once that transaction commits", async () => {
    const client = await world.pool.connect()
    await client.query('BEGIN')
    const batch = new Batch({ description: 'rolled back' })
    await batch.enqueue(new (simple(Member))(), { transaction: client })
    await client.query('ROLLBACK')
    await expect(Batch.find(batch.id)).rejects.toThrow(RecordMissingError)
    await client.query('BEGIN')
    const kept = await new Batch().enqueue(new (simple(Member))(), { transaction: client })
    await client.query('COMMIT')
    client.release()
    await untilSettled(world, kept.id)
    expect(await membersOf(kept)).toBe(1)
  })
})

test('add saves the batch without waiting for its jobs; enqueue starts to wait for them', async () => {
  const batch = new Batch({ onSuccess: Told })
  const [job] = await batch.add(new (simple(Member))(1))
  await performed(job?.jobId ?? '')
  await batch.reload()
  expect(batch).toMatchObject({ isEnqueued: false, jobsFinishedAt: null })
  await batch.enqueue()
  await untilSettled(world, batch.id)
  await batch.reload()
  expect(batch).toMatchObject({ isEnqueued: true, isSucceeded: true })
})

test('jobs that are already enqueued can join a batch', async () => {
  const job = await new (simple(Member))('later').enqueue({ wait: 3600 })
  const batch = new Batch()
  await batch.enqueue(job as Job)
  expect(await world.job((job as Job).jobId)).toMatchObject({ batch_id: batch.id })
})

test('a job that joins a batch while it runs is waited for', async () => {
  const batch = await new Batch({ onSuccess: Told }).save()
  await world.sql('UPDATE good_job_batches SET enqueued_at = created_at WHERE id = $1', [batch.id])
  const job = await simple(Joiner).performLater(batch.id)
  await performed((job as Job).jobId)
  await expect.poll(async () => (await batch.reload()).isSucceeded).toBe(true)
})

test('a job enqueued by a member does not join the batch [GJ-070]', async () => {
  const batch = await Batch.enqueue({}, () => simple(Parent).performLater())
  await untilSettled(world, batch.id)
  expect(await membersOf(batch)).toBe(1)
})

test('members and callbacks know their batch; callbacks get (batch, { event }) [GJ-067]', async () => {
  const batch = await Batch.enqueue({ onSuccess: Told, properties: { order: 7, tags: ['a'] } }, () =>
    simple(Member).performLater('x'),
  )
  await untilSettled(world, batch.id)
  const [member, callback] = ['Member', 'Told'].map((name) =>
    seen.find((one) => one.name === name && one.batchId === batch.id),
  )
  expect(member).toBeDefined()
  const [given, options] = (callback?.args ?? []) as unknown as [Batch, { event: RubySymbol }]
  expect(given).toBeInstanceOf(Batch)
  expect(given.id).toBe(batch.id)
  expect(given.properties).toEqual({ order: 7, tags: ['a'] })
  expect(options.event).toBe(RubySymbol.for('success'))
})

test('enqueueAll makes ten thousand batches of ten in one transaction', async () => {
  const pairs = Array.from(
    { length: 10_000 },
    () => [{}, Array.from({ length: 10 }, () => new (simple(Member))().set({ wait: 3600 }))] as const,
  )
  const batches = await Batch.enqueueAll(pairs)
  expect(batches).toHaveLength(10_000)
  expect(await membersOf(batches[9_999] as Batch)).toBe(10)
  expect(batches[0]).toMatchObject({ isEnqueued: true, isPersisted: true })
  await world.sql('DELETE FROM good_jobs WHERE batch_id IS NOT NULL AND scheduled_at > now()')
}, 60_000)

describe('properties', () => {
  test('are stored with symbol keys, as GoodJob reads them [GJ-064]', async () => {
    const batch = await new Batch({ properties: { user: 1, nested: { a: [1.5] } } }).save()
    const [row] = await world.sql('SELECT serialized_properties FROM good_job_batches WHERE id = $1', [batch.id])
    expect(row?.serialized_properties).toEqual({
      user: 1,
      nested: { a: [1.5], _aj_symbol_keys: ['a'] },
      _aj_symbol_keys: ['user', 'nested'],
    })
  })

  test('of Ruby keep the kind of their keys when Node saves them', async () => {
    const batch = await new Batch().save()
    const stored = { a: 1, b: { c: 2, _aj_symbol_keys: [] }, _aj_symbol_keys: ['b'] }
    await world.sql('UPDATE good_job_batches SET serialized_properties = $2 WHERE id = $1', [batch.id, stored])
    await batch.reload()
    batch.description = 'saved by Node'
    await batch.save()
    expect(await world.sql('SELECT serialized_properties FROM good_job_batches WHERE id = $1', [batch.id])).toEqual([
      { serialized_properties: stored },
    ])
    batch.properties = { ...batch.properties }
    expect(batch.properties).toEqual({ a: 1, b: { c: 2 } })
  })
})

test('enqueuing a batch with another queue adapter throws an error that names the GoodJob adapter', () => {
  const before = Job.queueAdapter
  Job.queueAdapter = new TestAdapter()
  expect(() => new Batch()).toThrow(ConfigurationError)
  Job.queueAdapter = before
})

describe('a broken batch affects no other batch', () => {
  const healthy = async (): Promise<void> => {
    const batch = await Batch.enqueue({ onSuccess: Told }, () => simple(Member).performLater())
    await untilSettled(world, batch.id)
    expect((await batch.reload()).isSucceeded).toBe(true)
  }

  test('a batch with properties that cannot be deserialized ends, and reading them throws an error that names the unknown type', async () => {
    const batch = await new Batch({ onSuccess: Told }).save()
    await world.sql(
      `UPDATE good_job_batches SET serialized_properties = '{"a": {"_aj_serialized": "Gone"}}' WHERE id = $1`,
      [batch.id],
    )
    await batch.reload()
    await batch.enqueue(new (simple(Member))())
    await untilSettled(world, batch.id)
    expect(() => batch.properties).toThrow(/Gone/)
    await healthy()
  })

  test('members whose batch was deleted still succeed', async () => {
    const batch = await Batch.enqueue({ onSuccess: Told }, () => simple(Member).performLater('gone'))
    const other = await Batch.enqueue({ onSuccess: Told }, async () => {
      await simple(Member).performLater()
      await world.sql('SELECT 1')
    })
    await world.sql('DELETE FROM good_job_batches WHERE id = $1', [batch.id])
    await untilSettled(world, other.id)
    await untilSettled(world, batch.id)
    expect(await world.sql('SELECT error FROM good_jobs WHERE batch_id = $1', [batch.id])).toEqual([{ error: null }])
    await healthy()
  })

  test('a callback that is discarded and retried fires no further callback, and the batch waits for it [GJ-072]', async () => {
    const batch = await Batch.enqueue({ onSuccess: Failing, onFinish: Told }, () => simple(Member).performLater())
    await untilSettled(world, batch.id)
    await batch.reload()
    expect(batch).toMatchObject({ isDiscarded: false, isFinished: true })
    const [failed] = await world.sql<{ id: string }>(
      'SELECT id FROM good_jobs WHERE batch_callback_id = $1 AND error IS NOT NULL',
      [batch.id],
    )
    const again = performed(failed?.id ?? '')
    await world.adapter.retryJob(failed?.id ?? '')
    await again
    await untilSettled(world, batch.id)
    expect((await batch.status()).callbacks.map(({ event }) => event).toSorted()).toEqual(['finish', 'success'])
    expect((await batch.reload()).isFinished).toBe(true)
  })

  test('with members that are not preserved on_success still fires, and a deleted failed member still prevents it', async () => {
    await capsule.shutdown()
    await using _deleting = await world.start({ jobs: [Member, Told, Failing], preserveJobRecords: false })
    const good = await Batch.enqueue({ onSuccess: Told }, () => simple(Member).performLater())
    await untilSettled(world, good.id)
    expect((await good.reload()).isSucceeded).toBe(true)
    const bad = await Batch.enqueue({ onSuccess: Told, onFinish: Told }, () => simple(Failing).performLater())
    await expect.poll(async () => (await bad.reload()).isFinished).toBe(true)
    expect(bad.isDiscarded).toBe(true)
    expect(await bad.recover()).toMatchObject({ outcome: 'unproven' })
  })

  test('a batch row with only its id and timestamps can be shown and checked', async () => {
    const [row] = await world.sql<{ id: string }>(
      'INSERT INTO good_job_batches (id, created_at, updated_at) VALUES (gen_random_uuid(), now(), now()) RETURNING id',
    )
    const batch = await Batch.find(row?.id ?? '')
    expect(await batch.status()).toMatchObject({ total: 0, recovery: { state: 'none' } })
    expect(await batch.recover()).toMatchObject({ outcome: 'nothing', reason: 'the batch was never enqueued' })
    expect(batch.properties).toEqual({})
  })

  test('a batch waits for members in several queues', async () => {
    await using _worker = await world.start({ jobs: [Member, Told], queues: 'a;b;default' })
    const batch = await Batch.enqueue({ onSuccess: Told, callbackQueueName: 'b', callbackPriority: 3 }, async () => {
      for (const queue of ['a', 'b']) await new (simple(Member))().enqueue({ queue })
    })
    await untilSettled(world, batch.id)
    expect((await batch.reload()).isSucceeded).toBe(true)
    expect(
      await world.sql('SELECT queue_name, priority FROM good_jobs WHERE batch_callback_id = $1', [batch.id]),
    ).toEqual([{ queue_name: 'b', priority: 3 }])
  })
})
