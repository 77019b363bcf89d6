import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { events } from '../../src/events.ts'
import type { JobConstructor } from '../../src/job/base.ts'
import { type Clock, createClock } from '../../src/time.ts'
import type { Capsule, CapsuleOptions } from '../../src/worker/capsule.ts'
import { inTurn } from '../support/clean-up.ts'
import { enqueue, jobClass, openWorld, performed, type World } from '../support/harness.ts'

const INVALID = new Date(Number.NaN)

const throwing = (name: string) => ({
  get: () => {
    throw new RangeError(`the getter of ${name} threw`)
  },
})

/** An error whose properties all throw when read. */
const unreadable = (): Error =>
  Object.defineProperties(new Error('unreadable'), {
    message: throwing('message'),
    stack: throwing('stack'),
    name: throwing('name'),
    cause: throwing('cause'),
    constructor: throwing('constructor'),
  })

const refuse = () => {
  throw new RangeError('a trap')
}

/** A value that throws on every operation. */
const trap = (): object =>
  new Proxy(new Error('trapped'), {
    get: refuse,
    has: refuse,
    getPrototypeOf: refuse,
    getOwnPropertyDescriptor: refuse,
  })

const revoked = (): object => {
  const { proxy, revoke } = Proxy.revocable(new Error('revoked'), {})
  revoke()
  return proxy
}

const THROWN: Readonly<Record<string, () => unknown>> = {
  'an error of which nothing can be read': unreadable,
  'a proxy of which nothing can be asked': trap,
  'a revoked proxy': revoked,
  'a caused error with such a cause': () => new Error('caused', { cause: trap() }),
  'an error with itself as cause': () => {
    const error = new Error('round')
    error.cause = error
    return error
  },
  'a message of 4 MB': () => new Error('x'.repeat(4_000_000)),
  'an object without a prototype': () => Object.create(null),
  'a symbol': () => Symbol('thrown'),
  nothing: () => undefined,
}

const Throwing = jobClass('Throwing', (_job, name: string) => {
  throw THROWN[name]?.()
})
const Caught = jobClass(
  'Caught',
  (_job, name: string) => {
    throw THROWN[name]?.()
  },
  (made) => {
    made.discardOn(URIError)
    made.retryOn('Shop::SoldOut', { wait: 0 })
  },
)
const Later = jobClass(
  'Later',
  (job) => job.retryJob({ wait: 0 }),
  (made) =>
    made.beforeEnqueue((job) => {
      if (job.executions > 0) job.scheduledAt = INVALID
    }),
)
const Good = jobClass('Good', () => undefined)
const ALL = () => [Throwing, Caught, Later, Good, Armed]

const openWorker = (options: Partial<CapsuleOptions>) => {
  let world: World
  let capsule: Capsule
  beforeAll(async () => {
    world = await openWorld()
    capsule = await world.start({ jobs: ALL(), ...options })
  })
  afterAll(
    inTurn(
      () => capsule.shutdown(),
      () => world.close(),
    ),
  )
  const run = async (...[made, ...args]: [JobConstructor, ...unknown[]]) => {
    const id = await enqueue(made, { waitUntil: new Date() }, ...args)
    await performed(id)
    return world.job(id)
  }
  return { run }
}

describe.each(['6.1', '7.0', '7.1', '8.1'] as const)('with the hash of Rails %s', (railsVersion) => {
  const { run } = openWorker({ railsVersion })

  test('a retry at an invalid time fails its job, and the worker continues', async () => {
    expect(await run(Later)).toMatchObject({ error_event: 1, error: expect.stringContaining('scheduledAt') })
    expect(await run(Good)).toMatchObject({ error: null })
  })
})

/** A user's clock that throws after the number of readings given to `failAfter`: once, or as often as given. */
class FaultyClock implements Clock {
  readonly #clock = createClock()
  #readings = Number.POSITIVE_INFINITY
  #failures = 0
  failAfter(readings: number, failures = 1): void {
    this.#readings = readings
    this.#failures = failures
  }
  now(): Date {
    return this.#clock.now()
  }
  timestamp(): string {
    if (this.#readings-- <= 0 && this.#failures-- > 0) throw new RangeError('the clock is out of order')
    return this.#clock.timestamp()
  }
  monotonic(): number {
    return this.#clock.monotonic()
  }
}
const clock = new FaultyClock()
let performances = 0
const Armed = jobClass('Armed', (_job, readings: number, failures = 1) => {
  performances += 1
  clock.failAfter(readings, failures)
})

describe.each([0, 20])('with starts deferred by %i ms', (deferStart) => {
  const { run } = openWorker({ deferStart, clock })

  test('an error between perform and the outcome fails the job, and the worker continues', async () => {
    // The next claim may read the clock before the end of the job does.
    const row = await run(Armed, 0, 3)
    clock.failAfter(Number.POSITIVE_INFINITY)
    expect(row).toMatchObject({ error: 'RangeError: the clock is out of order', locked_by_id: null })
    expect(await run(Good)).toMatchObject({ error: null })
  })

  test('an outcome that the round cannot write is written by the completer', async () => {
    performances = 0
    expect(await run(Armed, deferStart > 0 ? 1 : 9)).toMatchObject({ error: null, locked_by_id: null })
    expect(performances).toBe(1)
    expect(await run(Good)).toMatchObject({ error: null })
  })

  test('listeners that throw do not affect the job', async () => {
    const listener = () => {
      throw trap()
    }
    const warned = new Promise((resolve) => process.once('warning', resolve))
    const names = ['perform_start', 'perform', 'perform_job'] as const
    for (const name of names) events.on(name, listener)
    const row = await run(Good)
    for (const name of names) events.off(name, listener)
    expect(row).toMatchObject({ error: null, locked_by_id: null })
    expect(await warned).toMatchObject({ message: 'A listener of perform_start threw: a value without a text' })
  })

  test.each(Object.keys(THROWN))('a job that throws %s fails, and the worker continues', async (name) => {
    for (const made of [Throwing, Caught]) {
      const row = await run(made, name)
      expect(row).toMatchObject({ error_event: 1, error: expect.stringMatching(/^[A-Z]\w*: /), locked_by_id: null })
    }
    expect(await run(Good)).toMatchObject({ error: null })
  })
})
