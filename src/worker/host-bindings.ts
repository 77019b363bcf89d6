import { assertLogger, type Logger, silentLogger } from '../job/logger.ts'
import { attachLogSubscriber } from '../observe/log-subscriber.ts'
import { watchRejections } from './watch/rejections.ts'

export interface HostOptions {
  /**
   * A pino logger, or one with the same methods: receives the lines that the command line would log, and is the logger of jobs. @default
   * silent
   */
  readonly logger?: Logger | undefined
  /** Whether `logger` receives a line for each event of this worker. @default true */
  readonly logEvents?: boolean | undefined
  /**
   * Whether a rejected promise that a job did not await fails the job. Otherwise the rejection goes to the host; a host without a listener
   * for it ends. @default true
   */
  readonly catchRejections?: boolean | undefined
}

/** The worker's hooks into its host process, from its start until its end. */
export class HostBindings {
  readonly logger: Logger
  readonly #processId: string
  readonly #options: HostOptions
  #ends: (() => void)[] = []

  /** @throws ConfigurationError for a logger without the methods of one */
  constructor(processId: string, options: HostOptions) {
    if (options.logger !== undefined) assertLogger(options.logger)
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
