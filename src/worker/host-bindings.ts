import { type Logger, silentLogger } from '../job/logger.ts'
import { attachLogSubscriber } from '../observe/log-subscriber.ts'
import { watchRejections } from './watch/rejections.ts'

export interface HostOptions {
  /** A pino logger, or anything like it: gets what the command line logs, and is what jobs log with. @default silent */
  readonly logger?: Logger | undefined
  /** Whether `logger` gets a line for each event of this worker. @default true */
  readonly logEvents?: boolean | undefined
  /**
   * Whether a promise that a job does not await, and that is rejected, fails the job; otherwise such a rejection is the host's business, and
   * ends a host that does not listen for it. @default true
   */
  readonly catchRejections?: boolean | undefined
}

/** What a worker has to do with the process it lives in, from its start until its end. */
export class HostBindings {
  readonly logger: Logger
  readonly #processId: string
  readonly #options: HostOptions
  #ends: (() => void)[] = []

  constructor(processId: string, options: HostOptions) {
    this.logger = options.logger ?? silentLogger
    this.#processId = processId
    this.#options = options
  }

  attach(): void {
    this.detach()
    const { logger, logEvents = true, catchRejections = true } = this.#options
    if (logger !== undefined && logEvents) {
      this.#ends.push(attachLogSubscriber(logger, { processId: this.#processId }))
    }
    if (catchRejections) this.#ends.push(watchRejections())
  }

  detach(): void {
    for (const end of this.#ends.splice(0)) end()
  }
}
