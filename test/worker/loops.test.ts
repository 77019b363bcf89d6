import type { Worker } from 'node:worker_threads'
import { afterAll, expect, test } from 'vitest'
import { type Clock, createClock } from '../../src/time.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed } from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'

const world = await openWorld()
afterAll(() => world.close())

/** A user's clock that throws while `isBroken`. */
class FaultyClock implements Clock {
  readonly #clock = createClock()
  isBroken = false
  now(): Date {
    if (this.isBroken) throw new RangeError('the clock is out of order')
    return this.#clock.now()
  }
  timestamp(): string {
    return this.#clock.timestamp()
  }
  monotonic(): number {
    return this.#clock.monotonic()
  }
}

const Good = jobClass('Good', () => undefined)

test('an error in the loop of a pool is emitted, and the pool claims again as soon as the error is gone', async () => {
  const clock = new FaultyClock()
  const gate = new Gate()
  const Waiting = jobClass('Waiting', async (job) => {
    await gate.pass(job)
    clock.isBroken = true
  })
  await using _capsule = await world.start({ jobs: [Waiting, Good], threads: 1, clock })
  const ids = [await enqueue(Waiting), await enqueue(Good)]
  await gate.entered
  const failures = next('worker_error', 2, ({ part }) => part === 'pool *')
  const done = performed(...ids)
  gate.open()
  expect((await failures)[1]?.error).toMatchObject({ message: 'the clock is out of order' })
  clock.isBroken = false
  await done
})

test('errors in handling a NOTIFY message and a poll end neither the process nor the polls', async () => {
  const clock = new FaultyClock()
  await using _capsule = await world.start({ jobs: [Good], pollInterval: 0.05, clock })
  const poller = next('worker_error', 2, ({ part }) => part === 'poller')
  const notifier = next('worker_error', 1, ({ part }) => part === 'notifier')
  clock.isBroken = true
  await sendMessage(world.pool, '{"queue_name":"default"}')
  await Promise.all([poller, notifier])
  clock.isBroken = false
  await performed(await enqueue(Good))
})

test('a lane whose thread dies gets a new thread', async () => {
  const threads: Worker[] = []
  const note = (thread: Worker) => threads.push(thread)
  process.on('worker', note)
  await using _capsule = await world.start({ jobs: [Good], deferStart: 20 })
  process.off('worker', note)
  await performed(await enqueue(Good))
  const restored = next('lane_restored')
  await threads[0]?.terminate()
  await restored
  await performed(await enqueue(Good))
})
