import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Capsule } from '../../src/worker/capsule.ts'
import { inTurn } from '../support/clean-up.ts'
import {
  enqueue,
  Gate,
  jobClass,
  next,
  openWorld,
  paramsOf,
  performed,
  type Row,
  type World,
} from '../support/harness.ts'

class Named extends Error {
  static rubyName = 'Shop::NamedError'
}
const fail = (message = 'boom') => {
  throw new Named(message)
}
const Good = jobClass('Good', () => undefined)
const Bad = jobClass('Bad', () => fail())
const Retrying = jobClass(
  'Retrying',
  () => fail(),
  (made) => made.retryOn(Named, { wait: 3600, attempts: 3, jitter: 0 }),
)
const Exhausted = jobClass(
  'Exhausted',
  () => fail(),
  (made) => made.retryOn(Named, { attempts: 1 }),
)
const ExhaustedBlock = jobClass(
  'ExhaustedBlock',
  () => fail(),
  (made) => made.retryOn(Named, { attempts: 1 }, () => undefined),
)
const Discarded = jobClass(
  'Discarded',
  () => fail(),
  (made) => made.discardOn(Named),
)
const Rescued = jobClass(
  'Rescued',
  () => fail(),
  (made) => made.rescueFrom(Named, () => undefined),
)
const Again = jobClass('Again', (job) => job.retryJob({ wait: 3600 }))
const Args = jobClass('Args', (_job, ...args) => {
  if (args.length === 0) fail('no arguments')
})
const Nul = jobClass('Nul', () => fail('a\u0000b\uD800c'))
const ALL = [Good, Bad, Retrying, Exhausted, ExhaustedBlock, Discarded, Rescued, Again, Args, Nul]

let world: World
let capsule: Capsule
beforeAll(async () => {
  world = await openWorld()
  capsule = await world.start({ jobs: ALL })
})
afterAll(
  inTurn(
    () => capsule.shutdown(),
    () => world.close(),
  ),
)

const run = async (made: typeof Good): Promise<{ job: Row; execution: Row }> => {
  const id = await enqueue(made, { waitUntil: new Date(Date.now() + 60) })
  await performed(id)
  const [execution] = await world.executions(id)
  return { job: await world.job(id), execution: execution ?? {} }
}
const UNLOCKED = { locked_by_id: null, locked_at: null, lock_type: null }
const TEXT = 'Shop::NamedError: boom'

test('a start writes the same time to job and execution, and keeps the previous parameters [GJ-044] [GJ-045]', async () => {
  const { job, execution } = await run(Good)
  expect(execution.created_at).toEqual(job.performed_at)
  expect(execution).toMatchObject({
    process_id: capsule.processId,
    serialized_params: job.serialized_params,
    job_class: 'Good',
    queue_name: 'default',
  })
  expect(execution.scheduled_at).toEqual(job.scheduled_at)
  expect(job.executions_count).toBe(1)
})

test('a success sets finished_at, stores no error and clears the lock columns [GJ-046]', async () => {
  const { job, execution } = await run(Good)
  expect(job).toMatchObject({ error: null, error_event: null, ...UNLOCKED })
  expect(job.finished_at).toEqual(execution.finished_at)
  expect(execution).toMatchObject({ error: null, error_event: null, error_backtrace: null })
})

describe.each([
  ['unhandled', Bad, 1],
  ['retries used up', Exhausted, 4],
  ['retries used up with a block', ExhaustedBlock, 4],
  ['discard_on', Discarded, 5],
  ['rescue_from', Rescued, 2],
] as const)('%s', (_name, made, event) => {
  test(`finishes with event ${event} [GJ-049] [GJ-050] [GJ-051] [GJ-053] [GJ-054]`, async () => {
    const { job, execution } = await run(made)
    expect(job).toMatchObject({ error: TEXT, error_event: event, ...UNLOCKED })
    expect(execution).toMatchObject({ error: TEXT, error_event: event })
    expect(job.finished_at).toEqual(execution.finished_at)
    expect((execution.error_backtrace as string[]).every((line) => typeof line === 'string')).toBe(true)
    expect((execution.error_backtrace as string[])[0]).toContain('outcomes.test.ts')
  })
})

test('a retry waits in the same row with its error [GJ-048] [GJ-057]', async () => {
  const { job, execution } = await run(Retrying)
  expect(job).toMatchObject({
    error: TEXT,
    error_event: 3,
    performed_at: null,
    finished_at: null,
    executions_count: 1,
    ...UNLOCKED,
  })
  expect(job.serialized_params).toMatchObject({
    executions: 1,
    exception_executions: { '[Shop::NamedError]': 1 },
    provider_job_id: job.id,
  })
  expect((job.scheduled_at as Date).getTime()).toBeGreaterThan(Date.now() + 3_500_000)
  const times = [execution.created_at, job.created_at, execution.finished_at, job.updated_at].map(Number)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  expect(execution).toMatchObject({ error: TEXT, error_event: 3 })
})

test('retryJob without an error leaves the error column empty', async () => {
  const { job, execution } = await run(Again)
  expect(job).toMatchObject({ error: null, error_event: null, performed_at: null, finished_at: null })
  expect(execution).toMatchObject({ error: null, error_event: null })
})

test('characters that Postgres cannot store are replaced in error texts, not lost [GJ-053]', async () => {
  const { job } = await run(Nul)
  expect(job.error).toMatch(/^Shop::NamedError: a.*b.*c$/)
})

test('a success clears the error of the previous attempt [GJ-047]', async () => {
  const id = await world.insert({ job_class: 'Good', error: 'Earlier: one', error_event: 3 })
  await world.adapter.rescheduleJob(id, new Date())
  await world.sql(`SELECT pg_notify('good_job', '{}')`)
  await performed(id)
  expect(await world.job(id)).toMatchObject({ error: null, error_event: null })
})

test('rows that are no valid jobs fail alone; the other jobs of the same claim run [GJ-014]', async () => {
  const id = randomUUID()
  const bad: Row[] = [
    { serialized_params: null },
    { serialized_params: '[]' },
    { serialized_params: '"text"' },
    { serialized_params: JSON.stringify({ ...paramsOf('Good', id), arguments: 7 }) },
    { serialized_params: JSON.stringify({ ...paramsOf('Good', id), executions: 'many' }) },
    { serialized_params: JSON.stringify({ ...paramsOf('Good', id), arguments: [{ _aj_serialized: 'Nope' }] }) },
    { serialized_params: `{"job_class":"Good","arguments":[${'['.repeat(3_000)}${']'.repeat(3_000)}]}` },
  ]
  const odd: Row[] = [
    { queue_name: null },
    { priority: 2_147_483_647 },
    { priority: -2_147_483_648 },
    { priority: null },
    {
      job_class: 'Args',
      serialized_params: JSON.stringify(paramsOf('Args', id, { arguments: ['x'.repeat(10_000_000)] })),
    },
    { serialized_params: '{"job_class":"Good"}' },
  ]
  await capsule.shutdown()
  const bads = await Promise.all(bad.map((columns) => world.insert({ job_class: 'Good', ...columns })))
  const odds = await Promise.all(odd.map((columns) => world.insert({ job_class: 'Good', ...columns })))
  const done = performed(...bads, ...odds)
  capsule = await world.start({ jobs: ALL, threads: 50 })
  await done
  for (const one of bads)
    expect(await world.job(one)).toMatchObject({ error_event: 1, error: expect.stringMatching(/^[A-Z][\w:]+: /) })
  for (const one of odds) expect(await world.job(one)).toMatchObject({ error: null, finished_at: expect.any(Date) })
}, 60_000)

test('a force-discard of a running job stands, whatever its outcome [GJ-056] [GJ-092]', async () => {
  for (const ends of ['ok', 'fail', 'retry'] as const) {
    const gate = new Gate()
    const Slow = jobClass(`Slow${ends}`, async (job) => {
      await gate.pass(job)
      if (ends === 'fail') fail()
      if (ends === 'retry') await job.retryJob({ wait: 0 })
    })
    await using _capsule = await world.start({ jobs: [Slow] })
    const id = await enqueue(Slow)
    await gate.entered
    await world.adapter.forceDiscardJob(id, 'wrong tenant')
    const lost = (await import('../support/harness.ts')).next('outcome_lost')
    gate.open()
    await lost
    expect(await world.job(id)).toMatchObject({
      error: 'GoodJob::Job::DiscardJobError: wrong tenant',
      error_event: 5,
      finished_at: expect.any(Date),
      ...UNLOCKED,
    })
    expect(await world.executions(id)).toMatchObject([{ error_event: 5, finished_at: expect.any(Date) }])
  }
})

describe('preserve_job_records [GJ-055]', () => {
  const kept = async (preserveJobRecords: unknown, made: typeof Good): Promise<boolean> => {
    await using _worker = await world.start({
      jobs: [made],
      queues: 'kept',
      preserveJobRecords: preserveJobRecords as never,
    })
    const id = await enqueue(made, { queue: 'kept' })
    await performed(id)
    const rows = await world.sql('SELECT id FROM good_jobs WHERE id = $1', [id])
    expect(await world.executions(id)).toHaveLength(rows.length)
    return rows.length === 1
  }
  test.each([
    [true, Good, true],
    [false, Good, false],
    [false, Bad, false],
    ['on_unhandled_error', Good, false],
    ['on_unhandled_error', Bad, true],
    ['on_unhandled_error', Discarded, false],
    [() => true, Good, true],
    [() => false, Good, false],
    [(_job: unknown, error: unknown) => error !== undefined, Bad, true],
    [
      () => {
        throw new Error('x')
      },
      Good,
      true,
    ],
  ] as const)('%s', async (preserve, made, expected) => {
    await capsule.shutdown()
    expect(await kept(preserve, made)).toBe(expected)
  })

  test('a cron job is always kept', async () => {
    await using _worker = await world.start({ jobs: [Good], preserveJobRecords: false })
    const id = await world.insert({ job_class: 'Good', cron_key: 'daily', cron_at: new Date().toISOString() })
    await world.sql(`SELECT pg_notify('good_job', '{}')`)
    await performed(id)
    expect(await world.job(id)).toMatchObject({ cron_key: 'daily', error: null })
  })
})

test('retry_on_unhandled_error runs the job again at once, unchanged [GJ-051]', async () => {
  let runs = 0
  const Twice = jobClass('Twice', () => {
    runs += 1
    if (runs === 1) fail()
  })
  await using _worker = await world.start({ jobs: [Twice], retryOnUnhandledError: true })
  const ended = next('perform_job', 2, ({ jobClass: name }) => name === 'Twice')
  const id = await enqueue(Twice)
  await ended
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2, serialized_params: { executions: 0 } })
  expect(await world.executions(id)).toMatchObject([{ error: TEXT, error_event: 1 }, { error: null }])
})
