import { Deadline } from '../deadline.ts'
import { events } from '../events.ts'
import type { ReachOptions } from '../sql/connection/reach.ts'

/** A part of a worker: it is started and stopped together with the others, in the order of their list. */
export interface Part {
  readonly name: string
  /** Whether a job that ignores its signal still needs this part: then it is stopped after that job has ended. */
  readonly servesJobs: boolean
  /** Ends at the deadline of the start, and when its signal fires. @throws when the worker cannot work without this part */
  start(context: ReachOptions): Promise<void>
  /**
   * Ends at the deadline and the grace that this part has after it; what is not over by then is abandoned. A part whose start failed, or is
   * still under way, is stopped, too.
   */
  stop(deadline: Deadline): Promise<void>
  /** After `stop`: resolves when the jobs that ignore their signal have ended; undefined when there are none. */
  remainingJobs?(): Promise<unknown> | undefined
}

/** Waits for the remaining jobs, then stops the parts that serve them, within `ms` milliseconds and the grace of each. */
export type StopLater = (ms: number) => Promise<void>

/** The ordered list of a worker's parts. Whatever is in the list is started and stopped; there is no other place to name a part. */
export class Parts {
  readonly #processId: string
  readonly #list: readonly Part[]
  #begun: Part[] = []

  constructor(processId: string, list: readonly Part[]) {
    this.#processId = processId
    this.#list = list
  }

  /** In the order of the list. @throws the error of the first part that does not start; the caller stops those that have begun */
  async start(context: ReachOptions): Promise<void> {
    for (const part of this.#list) {
      this.#begun.push(part)
      await part.start(context)
      context.signal.throwIfAborted()
    }
  }

  /**
   * Stops the parts that have begun, the last one first. Never rejects: what throws is reported, and the others are stopped.
   * @returns how to stop the rest, when jobs that ignore their signal still need some parts
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
