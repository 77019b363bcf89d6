import type { Job, JobConstructor } from '../../src/job/base.ts'
import { type Clock, createClock } from '../../src/time.ts'
import type { Capsule } from '../../src/worker/capsule.ts'
import { enqueue, Gate, jobClass, performed, type World } from '../support/harness.ts'

/** Counts the jobs that run at the same time, and records the order in which they began. */
export class Ledger {
  readonly order: unknown[] = []
  most = 0
  #running = 0

  async run(value: unknown): Promise<void> {
    this.#running += 1
    this.most = Math.max(this.most, this.#running)
    this.order.push(value)
    await new Promise((resolve) => setImmediate(resolve))
    this.#running -= 1
  }
}

/** Jobs of a class that wait inside `perform()`, each at the gate with the name that is its argument. */
export class Gates {
  readonly #gates = new Map<string, Gate>()

  of(name: string): Gate {
    const gate = this.#gates.get(name) ?? new Gate()
    this.#gates.set(name, gate)
    return gate
  }

  jobClass(name: string, declare: (made: JobConstructor) => void = () => {}): JobConstructor {
    return jobClass(name, (job: Job, gate: string) => Promise.race([this.of(gate).pass(job), stopped(job)]), declare)
  }
}

/** A worker of a test that fails does not wait for its gates. */
const stopped = ({ signal }: Job): Promise<void> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error))
  })

export const FenceJob = jobClass('FenceJob', () => undefined)

/** Resolves when the lane that serves this queue has finished with all jobs that were enqueued before. */
export const fence = async (queue = 'default'): Promise<void> => {
  // The second claim follows the admission of what the first one has found.
  for (let turn = 0; turn < 2; turn++) await performed(await enqueue(FenceJob, { queue, priority: 1_000 }))
}

/** Nothing but notifications and its own jobs wake such a worker. */
const NO_POLLS = { pollInterval: -1, shutdownTimeout: 0 }

/** A running worker for jobs on this queue. */
export const start = (world: World, options: Parameters<World['start']>[0]): Promise<Capsule> =>
  world.start({ queues: '*:5', ...NO_POLLS, ...options, jobs: [...options.jobs, FenceJob] })

/** A clock that counts how often a worker reads it. For such a worker every query at the head of the queue is a fast one. */
export class CountingClock implements Clock {
  readonly #clock = createClock()
  /** One for each claim, each admission, each outcome. */
  timestamps = 0
  nows = 0

  now(): Date {
    this.nows += 1
    return this.#clock.now()
  }

  timestamp(): string {
    this.timestamps += 1
    return this.#clock.timestamp()
  }

  monotonic(): number {
    return this.#clock.monotonic() / 1_000
  }
}
