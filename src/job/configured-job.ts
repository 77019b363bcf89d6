import type { Job, JobConstructor, PerformArguments } from './base.ts'
import type { EnqueueOptions } from './options.ts'
import type { PerformResult } from './performing.ts'

/** A job class with options for one job; `X.set({ … })` returns it. */
export class ConfiguredJob<T extends Job> {
  readonly #jobClass: JobConstructor<T>
  readonly #options: EnqueueOptions

  constructor(jobClass: JobConstructor<T>, options: EnqueueOptions) {
    this.#jobClass = jobClass
    this.#options = options
  }

  /** Enqueues a job. Resolves with false if a callback aborted it or the adapter refused it. */
  async performLater(...args: PerformArguments<T>): Promise<T | false> {
    return this.#make(args).enqueue(this.#options)
  }

  /** Runs a job now. */
  async performNow(...args: PerformArguments<T>): Promise<PerformResult<T>> {
    return this.#make(args).set(this.#options).performNow() as Promise<PerformResult<T>>
  }

  /** Creates the job, for `performAllLater`. */
  build(...args: PerformArguments<T>): T {
    return this.#make(args).set(this.#options)
  }

  #make(args: readonly unknown[]): T {
    return new this.#jobClass(...(args as readonly never[]))
  }
}
