import type { Configuration } from '../../configuration.ts'
import type { Logger } from '../../job/logger.ts'
import type { Pauses, StoppingReason } from '../../job/pauses.ts'
import type { RailsVersion } from '../../serialize/rails-version.ts'
import type { GlobalID } from '../../serialize/values/global-id.ts'
import type { Clock } from '../../time.ts'
import type { AttemptContext } from './execution.ts'
import type { RunningAttempt } from './running.ts'

/** What all attempts of a worker share. */
export interface WorkerContext {
  readonly processId: string
  readonly configuration: Configuration
  readonly clock: Clock
  readonly logger: Logger
  readonly locate: (gid: GlobalID) => Promise<unknown>
  readonly isShuttingDown: () => boolean
  readonly paused: () => Promise<Pauses>
}

/** What a worker passes to an attempt; a class, because an object of closures costs as much as parsing a job's hash. */
export class WorkerAttemptContext implements AttemptContext {
  readonly #worker: WorkerContext
  readonly #attempt: RunningAttempt

  constructor(worker: WorkerContext, attempt: RunningAttempt) {
    this.#worker = worker
    this.#attempt = attempt
  }

  get signal(): AbortSignal {
    return this.#attempt.signal
  }

  get logger(): Logger {
    return this.#worker.logger
  }

  get clock(): Clock {
    return this.#worker.clock
  }

  get processId(): string {
    return this.#worker.processId
  }

  get railsVersion(): RailsVersion {
    return this.#worker.configuration.railsVersion
  }

  get locate(): (gid: GlobalID) => Promise<unknown> {
    return this.#worker.locate
  }

  get paused(): (() => Promise<Pauses>) | undefined {
    return this.#worker.configuration.enablePauses ? this.#worker.paused : undefined
  }

  /** GoodJob 4.23.1 adapter.rb#stopping?: the shutdown comes first. */
  stoppingReason(): StoppingReason | false {
    const { state, signal } = this.#attempt
    if (this.#worker.isShuttingDown() || state === 'aborted') return 'stopping'
    if (state === 'withdrawn') return 'force_discarded'
    return signal.aborted && 'stopping'
  }
}
