import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConfigurationError, SerializationError } from '../../src/errors.ts'
import type { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { enqueue, jobClass, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_batches'))

const EchoJob = jobClass('EchoJob', () => {})
const make = (...args: unknown[]): Job => new (EchoJob as unknown as new (...args: unknown[]) => Job)(...args)
const nothingStored = async () => {
  expect(await world.sql('SELECT id FROM good_jobs UNION SELECT id FROM good_job_batches')).toEqual([])
}

class Money {
  toJSON() {
    return 7
  }
}
const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

describe('the error for an argument that cannot be stored names its position and the class of its job', () => {
  test.each<[args: unknown[], text: string]>([
    [[{ user: { onDone: () => {} } }], '[0].user.onDone: a function has no Active Job form; pass plain data'],
    [[1, [2, { 'a-b': [new Set()] }]], '[1][1]["a-b"][0]: a value of type Set has no Active Job form; pass plain data'],
    [[new Map([['a', new Map([['b', Symbol('x')]])]])], '[0].get("a").get("b"): Symbol(x) has no Active Job form'],
    [[1, Buffer.from('a')], '[1]: a value of type Buffer has no Active Job form; encode it as base64 yourself'],
    [[EchoJob], '[0]: the class '],
    [[{ price: new Money() }], '[0].price: a value of type Money has no Active Job form; its toJSON() is not called'],
    [[{ price: { toJSON: () => 7 } }], '[0].price: an object with its own toJSON() has no Active Job form'],
    [
      [undefined, 2],
      '[0]: undefined has no Active Job form; pass null, or let it become null: static override argumentOptions = { undefinedAsNull: true }',
    ],
    [[[1, undefined]], '[0][1]: undefined has no Active Job form'],
    [
      [{ big: 1e21 }],
      '[0].big: 1e+21 is beyond 2^53-1 (Number.MAX_SAFE_INTEGER), so a JavaScript number cannot represent it exactly; pass a bigint (1000000000000000000000n) or text',
    ],
    [[{ n: [1, Number.NaN] }], '[0].n[1]: NaN has no JSON form; pass null or a finite number'],
    [[{ text: 'a\0b' }], '[0].text: text with U+0000 cannot be stored in jsonb'],
    [[{ 'a\0b': 1 }], '[0]["a\\u0000b"]: text with U+0000'],
    [[{ _aj_symbol_keys: 1 }], `[0]._aj_symbol_keys: Can't serialize a Hash with reserved key "_aj_symbol_keys"`],
    [[{ at: new Date(Number.NaN) }], '[0].at: an invalid Date has no Active Job form'],
    [[cyclic], '[0].self: a cyclic structure has no Active Job form'],
  ])('%o', async (args, text) => {
    for (const refused of [
      () => enqueue(EchoJob, {}, ...args),
      () => performAllLater([make(...args)]),
      () => Batch.enqueue({}, make(...args)),
    ]) {
      await expect(refused()).rejects.toThrow(SerializationError)
      await expect(refused()).rejects.toThrow(`EchoJob, argument ${text}`)
    }
    await nothingStored()
  })

  test('names the key of a batch property', async () => {
    const refused = Batch.enqueue({ properties: { user: { onDone: () => {} } } })
    await expect(refused).rejects.toThrow('batch properties [0].user.onDone: a function has no Active Job form')
  })

  test('has no properties of its own, so that only its text is logged', async () => {
    const refused = enqueue(EchoJob, {}, { secret: () => 'password' })
    const error: unknown = await refused.catch((reason: unknown) => reason)
    expect(Object.keys(error as object)).toEqual([])
  })
})

test.each([
  [[1, undefined], [1]],
  [[1, undefined, undefined], [1]],
  [[undefined], []],
  [[null, undefined], [null]],
])('arguments %o are stored as %o: perform gets the same', async (args, stored) => {
  const id = await enqueue(EchoJob, {}, ...args)
  expect((await world.job(id)).serialized_params).toMatchObject({ arguments: stored })
})

test('with undefinedAsNull every undefined is stored as null, also trailing ones', async () => {
  const NullJob = jobClass(
    'NullJob',
    () => {},
    (made) => {
      made.argumentOptions = { undefinedAsNull: true }
    },
  )
  const id = await enqueue(NullJob, {}, 1, undefined)
  expect((await world.job(id)).serialized_params).toMatchObject({ arguments: [1, null] })
})

describe('a value that is no list of jobs is refused with an error that names it', () => {
  test.each<[name: string, given: unknown, text: string]>([
    ['a job', make(), 'performAllLater takes a list of jobs, such as performAllLater([job]); got a made'],
    [
      'a class',
      [make(), EchoJob],
      'performAllLater takes jobs, such as new WelcomeJob(7); number 2 is the class made: make a job by',
    ],
    ['a promise', [Promise.resolve(make())], 'number 1 is a promise: await it first'],
    ['false', [false], 'number 1 is false'],
    ['nothing', undefined, 'got undefined'],
  ])('performAllLater of %s', async (_name, given, text) => {
    await expect(performAllLater(given as never)).rejects.toThrow(ConfigurationError)
    await expect(performAllLater(given as never)).rejects.toThrow(text)
  })

  test('batches', async () => {
    const batch = new Batch()
    const options = { transaction: {} }
    await expect(batch.enqueue(options as never)).rejects.toThrow(
      'batch.enqueue takes jobs first, then options: batch.enqueue(jobs, { transaction }); the first argument is an object with transaction',
    )
    await expect(batch.add(options as never)).rejects.toThrow('batch.add takes jobs first')
    await expect(Batch.enqueue({}, EchoJob as never)).rejects.toThrow('number 1 is the class made')
    await expect(Batch.enqueueAll([[{}, [false as never]]])).rejects.toThrow(
      'Batch.enqueueAll takes jobs, such as new WelcomeJob(7); number 1 is false',
    )
    await nothingStored()
  })
})

describe('an unknown option is refused with a suggestion', () => {
  test.each<[name: string, call: () => unknown, text: string]>([
    [
      'Batch',
      () => new Batch({ onSucess: EchoJob } as never),
      'Batch has no option "onSucess": did you mean onSuccess?',
    ],
    ['Batch.enqueue', () => Batch.enqueue({ onSucess: EchoJob } as never), 'did you mean onSuccess?'],
    ['Batch.enqueueAll', () => Batch.enqueueAll([[{ onFinsh: EchoJob } as never, make()]]), 'did you mean onFinish?'],
    [
      'its options',
      () => Batch.enqueueAll([], { transacton: 1 } as never),
      'Batch.enqueueAll has no option "transacton": did you mean transaction?',
    ],
    [
      'batch.enqueue',
      () => new Batch().enqueue([], { wait: 5 } as never),
      'batch.enqueue has no option "wait": known are transaction',
    ],
    [
      'batch.add',
      () => new Batch().add([], { transactoin: 1 } as never),
      'batch.add has no option "transactoin": did you mean transaction?',
    ],
    [
      'performAllLater',
      () => performAllLater([], { wait: 60 } as never),
      'performAllLater has no option "wait": known are transaction',
    ],
    [
      'Adapter',
      () => new Adapter({ connectionString: 'x' } as never),
      'unknown option connectionString; did you mean databaseUrl?',
    ],
    [
      'Adapter',
      () => new Adapter({ concurrency: 5 } as never),
      'concurrency is a list of rules, such as [{ label: "api", performLimit: 5 }]; the number of jobs at the same time is threads',
    ],
    [
      'Adapter',
      () => new Adapter('postgres://me:secret@host/app' as never),
      "new Adapter takes options, not a text: new Adapter({ databaseUrl: 'postgres://…' })",
    ],
    [
      'Adapter',
      () => new Adapter(world.pool as never),
      'new Adapter takes options, got a pool or client itself: new Adapter({ pool })',
    ],
    ['Adapter', () => new Adapter(5 as never), 'new Adapter takes options, got a number'],
  ])('%s', async (_name, call, text) => {
    const refused = async () => call()
    await expect(refused()).rejects.toThrow(ConfigurationError)
    await expect(refused()).rejects.toThrow(text)
    await expect(refused()).rejects.not.toThrow('secret')
    await nothingStored()
  })

  test('a retry of a running job cannot be part of a transaction', async () => {
    const RetryingJob = jobClass('RetryingJob', (job) =>
      job.retryJob({ transaction: { query: async () => ({ rows: [], rowCount: 0 }) } }),
    )
    const id = await enqueue(RetryingJob)
    await using _worker = await world.start({ jobs: [RetryingJob] })
    await expect
      .poll(async () => (await world.job(id)).error)
      .toContain('RetryingJob: a retry cannot be part of your transaction')
  })
})
