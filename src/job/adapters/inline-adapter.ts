import { EnqueueError, GoodJobError } from '../../errors.ts'
import { DEFAULT_RAILS_VERSION, type RailsVersion } from '../../serialize/rails-version.ts'
import { type Clock, systemClock } from '../../time.ts'
import type { Job } from '../base.ts'
import { withEnqueueContext } from '../context.ts'
import { performNow } from '../performing.ts'
import { DETACHED_RUN } from '../run.ts'
import { jobFromText, jobToText } from '../serialization.ts'
import { STATE } from '../state.ts'
import type { QueueAdapter } from './queue-adapter.ts'

export interface InlineAdapterOptions {
  /** @default '7.2' */
  readonly railsVersion?: RailsVersion
  readonly clock?: Clock
}

/**
 * Runs each job at once in `performLater`, which rejects with the job's unhandled error. The job that runs is a copy, made by serializing
 * and deserializing. A job that is scheduled for later is refused with an error. Active Job: InlineAdapter.
 */
export class InlineAdapter implements QueueAdapter {
  readonly name = 'Inline'
  readonly #railsVersion: RailsVersion
  readonly #clock: Clock

  constructor({ railsVersion = DEFAULT_RAILS_VERSION, clock = systemClock }: InlineAdapterOptions = {}) {
    this.#railsVersion = railsVersion
    this.#clock = clock
  }

  async enqueue(job: Job): Promise<void> {
    if (job.scheduledAt) {
      throw new GoodJobError(
        `InlineAdapter cannot run ${job.jobClass} at ${job.scheduledAt.toISOString()}: use the GoodJob adapter, or TestAdapter in tests`,
      )
    }
    const railsVersion = this.#railsVersion
    const copy = jobFromText(job.jobConstructor, jobToText(job, { now: this.#clock.now(), railsVersion }))
    copy.labels = job.labels
    copy[STATE].run = { ...DETACHED_RUN, clock: this.#clock, railsVersion }
    await withEnqueueContext({}, () => performNow(copy))
  }

  async enqueueAll(jobs: readonly Job[]): Promise<number> {
    let count = 0
    for (const job of jobs) {
      try {
        await this.enqueue(job)
        job.successfullyEnqueued = true
        count++
      } catch (error) {
        if (!(error instanceof EnqueueError)) throw error
        job.enqueueError = error
      }
    }
    return count
  }
}
