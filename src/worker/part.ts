import { Deadline } from '../deadline.ts'
import { events } from '../events.ts'
import type { ReachOptions } from '../sql/connection/reach.ts'

/** A part of a worker. Parts are started and stopped together, in the order of their list. */
export interface Part {
  readonly name: string
  /** Whether a job that ignores its signal still needs this part; if so, the part is stopped only after that job has ended. */
  readonly servesJobs: boolean
  /** Ends at the deadline of the start, or when its signal fires. @throws when the worker cannot work without this part */
  start(context: ReachOptions): Promise<void>
  /**
   * Ends at the deadline plus this part's grace; what is unfinished then is abandoned. Also called for a part whose start failed or is
   * still running.
   */
  stop(deadline: Deadline): Promise<void>
  /** After `stop`: resolves when the jobs that ignore their signal have ended; undefined when there are none. */
  remainingJobs?(): Promise<unknown> | undefined
}

/** Waits for the remaining jobs, then stops the parts that serve them, within `ms` milliseconds and the grace of each. */
export type StopLater = (ms: number) => Promise<void>

/** The ordered list of a worker's parts. Every part in the list is started and stopped; parts are named nowhere else. */
export class Parts {
  readonly #processId: string
  readonly #list: readonly Part[]
  #begun: Part[] = []

  constructor(processId: string, list: readonly Part[]) {
    this.#processId = processId
    this.#list = list
  }

  /**
   * Starts the parts in the order of the list. @throws the error of the first part that does not start; the caller stops those that have
   * begun
   */
  async start(context: ReachOptions): Promise<void> {
    for (const part of this.#list) {
      this.#begun.push(part)
      await part.start(context)
      context.signal.throwIfAborted()
    }
  }

  /**
   * Stops the parts that have begun, the last one first. Never rejects: an error is reported, and the other parts are still stopped.
   * @returns a function that stops the rest, when jobs that ignore their signal still need some parts
   */
  async stop(deadline: Deadline): Promise<StopLater | undefined> {
    const begun = this.#begun.splice(0).reverse()
    const needed: Part[] = []
    let jobs: Promise<unknown> | undefined
    for (const part of begun) {
      if (jobs !== undefined && part.servesJobs) needed.push(part)
      else await this.#stop(part, deadline)
      jobs ??= part.remainingJobs?.()
    }
    if (jobs === undefined) return undefined
    return async (ms) => {
      await jobs
      const late = new Deadline(ms)
      for (const part of needed) await this.#stop(part, late)
    }
  }

  async #stop(part: Part, deadline: Deadline): Promise<void> {
    try {
      await part.stop(deadline)
    } catch (error) {
      events.emit('worker_error', { processId: this.#processId, part: part.name, error })
    }
  }
}
