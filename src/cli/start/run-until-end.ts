import { durationsOf } from '../../configuration.ts'
import { events } from '../../events.ts'
import type { Logger } from '../../job/logger.ts'
import { failCurrentAttempt } from '../../perform/attempt/execution.ts'
import { every } from '../../time.ts'
import type { Capsule } from '../../worker/capsule.ts'
import { giveToJob } from '../../worker/watch/rejections.ts'
import { EXIT } from '../failure.ts'
import { watchLauncher } from './launcher.ts'
import type { SupervisorLink } from './supervisor-link.ts'

/** GoodJob cli.rb checks every second whether a worker has been idle for long enough. */
const IDLE_CHECK_MS = 1_000
const MIN_IDLE_CHECK_MS = 10

/** What else happens when the worker claims jobs, and when its shutdown begins. */
interface Steps {
  readonly onReady: () => void
  readonly onStopping: () => void
  /** Of a subprocess. */
  readonly link: SupervisorLink | undefined
}

/**
 * Starts a worker and lets it work until a signal, the idle timeout or an error outside of any job ends it. A second signal aborts the jobs
 * that still run. A subprocess also ends with its supervisor. @returns the exit code
 */
export const runUntilEnd = async (capsule: Capsule, logger: Logger, steps: Steps): Promise<number> => {
  const end = new Ending(capsule, logger, steps)
  end.watch()
  try {
    await capsule.start()
  } catch (error) {
    // A signal ended the start. No job has begun, but the process row may have been written and must be removed.
    if (end.code !== undefined) return end.wait()
    throw error
  }
  if (end.code === undefined) {
    steps.onReady()
    end.begin()
  }
  return end.wait()
}

/** What ends the process, and with which exit code. */
class Ending {
  readonly #capsule: Capsule
  readonly #logger: Logger
  readonly #onStopping: () => void
  readonly #link: SupervisorLink | undefined
  #code: number | undefined
  #idleCheck: NodeJS.Timeout | undefined
  #ended: (code: number) => void = () => {}
  readonly #end = new Promise<number>((resolve) => {
    this.#ended = resolve
  })

  constructor(capsule: Capsule, logger: Logger, { onStopping, link }: Steps) {
    this.#capsule = capsule
    this.#logger = logger
    this.#onStopping = onStopping
    this.#link = link
  }

  get code(): number | undefined {
    return this.#code
  }

  watch(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#onSignal(signal))
    if (this.#link === undefined) watchLauncher(() => this.#onGone('the npm or npx that started this worker'))
    else this.#link.watch({ onAbort: () => this.#capsule.abort(), onGone: () => this.#onGone('the supervisor') })
    // `failCurrentAttempt` finds the job that caused the error by the asynchronous context.
    process.on('unhandledRejection', (error) => {
      if (!giveToJob(error)) this.#onError(error, 'a promise that was rejected outside of any job')
    })
    process.on('uncaughtException', (error) => this.#onError(error, 'an error outside of any job'))
  }

  /** The worker has started. */
  begin(): void {
    if (this.#link === undefined) this.#watchIdle()
    else events.emit('subprocess_start', { subprocessPid: process.pid, index: this.#link.role.index })
  }

  #watchIdle(): void {
    const { configuration } = this.#capsule
    const { idleTimeout } = configuration
    const { idleTimeoutMs } = durationsOf(configuration)
    if (idleTimeout === undefined || idleTimeoutMs === undefined) return
    this.#idleCheck = every(Math.min(IDLE_CHECK_MS, Math.max(MIN_IDLE_CHECK_MS, idleTimeoutMs)), () => {
      if (this.#capsule.idleSeconds < idleTimeout) return
      this.#logger.info({ idleTimeout }, 'The idle timeout has passed')
      this.#stop(EXIT.done)
    })
  }

  wait(): Promise<number> {
    return this.#end
  }

  #onSignal(signal: NodeJS.Signals): void {
    if (this.#code === undefined) {
      this.#logger.info({ signal }, 'Asked to stop')
      this.#stop(EXIT.done)
      return
    }
    // A terminal and systemd send a signal to every process, and the supervisor sends its own: only its message is a second request.
    if (this.#link !== undefined) return
    this.#logger.warn({ signal }, 'Asked to stop again')
    this.#capsule.abort()
  }

  #onGone(what: string): void {
    if (this.#code !== undefined) return
    this.#logger.warn(`Stopping because ${what} is gone`)
    this.#stop(EXIT.done)
  }

  #onError(error: unknown, what: string): void {
    if (failCurrentAttempt(error)) return
    this.#logger.fatal(
      error instanceof Error ? { err: error } : { error: String(error) },
      `Stopping because of ${what}`,
    )
    this.#stop(EXIT.failed)
  }

  #stop(code: number): void {
    if (this.#code === undefined) this.#onStopping()
    this.#code = Math.max(this.#code ?? EXIT.done, code)
    clearInterval(this.#idleCheck)
    this.#emit('subprocess_shutdown_start')
    void this.#shutDown().then(() => {
      this.#emit('subprocess_shutdown')
      this.#ended(this.#code ?? code)
    })
  }

  #emit(name: 'subprocess_shutdown_start' | 'subprocess_shutdown'): void {
    if (this.#link !== undefined) events.emit(name, { subprocessPid: process.pid, index: this.#link.role.index })
  }

  async #shutDown(): Promise<void> {
    try {
      await this.#capsule.shutdown()
      await this.#capsule.leave()
      if (!this.#capsule.isStoppedCleanly) this.#code = EXIT.failed
    } catch (error) {
      this.#logger.error({ err: error }, 'The shutdown failed')
      this.#code = EXIT.failed
    }
  }
}
