import type { ChildProcess } from 'node:child_process'
import { events } from '../events.ts'
import { type Clock, systemClock } from '../time.ts'
import { ChildHealth } from './child-health.ts'
import { type ReadyReport, type ToSubprocess, type ToSupervisor, unwrapMessage, wrapMessage } from './messages.ts'
import { nextRestartCount } from './restarts.ts'

/** How a subprocess ended. */
export interface SubprocessEnd {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
  readonly wasReady: boolean
}

export interface HandleOptions {
  readonly index: number
  /** Starts the process. */
  readonly fork: () => ChildProcess
  readonly onReady: () => void
  readonly onRefused: (refusal: Extract<ToSupervisor, { type: 'refused' }>) => void
  readonly onEnd: (end: SubprocessEnd) => void
  readonly clock?: Clock
}

/** One subprocess and its replacements, which have the same number and the same queues. GoodJob: Supervisor::SubprocessHandle. */
export class SubprocessHandle {
  readonly health: ChildHealth
  readonly #options: HandleOptions
  readonly #clock: Clock
  #child: ChildProcess | undefined
  #startedMs = 0
  #restartCount = 0
  #report: ReadyReport | undefined

  constructor(options: HandleOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.health = new ChildHealth(this.#clock)
  }

  get index(): number {
    return this.#options.index
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get isAlive(): boolean {
    return this.#child !== undefined
  }

  /** How many subprocesses in a row failed to start. */
  get restartCount(): number {
    return this.#restartCount
  }

  /** What the process that runs now reported when it was ready. */
  get report(): ReadyReport | undefined {
    return this.#report
  }

  start(): void {
    const child = this.#options.fork()
    this.#child = child
    this.#startedMs = this.#clock.monotonic()
    child.on('message', (message) => this.#receive(unwrapMessage<ToSupervisor>(message)))
    child.on('exit', (status, signal) => this.#end(child, status, signal))
    // Without a pid the process was never started. Any other error is that of a signal or a message to a process that is ending.
    child.on('error', () => {
      if (child.pid === undefined) this.#end(child, null, null)
    })
    if (child.pid !== undefined) events.emit('cluster_spawn', { subprocessPid: child.pid, index: this.index })
  }

  kill(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  send(message: ToSubprocess): void {
    if (this.#child?.connected === true) this.#child.send(wrapMessage(message), () => undefined)
  }

  #receive(message: ToSupervisor | undefined): void {
    if (message?.type === 'health') this.health.record(message)
    if (message?.type === 'refused') this.#options.onRefused(message)
    if (message?.type !== 'ready') return
    this.#report = message
    this.#options.onReady()
  }

  #end(child: ChildProcess, status: number | null, signal: NodeJS.Signals | null): void {
    if (this.#child !== child) return
    const wasReady = this.#report !== undefined
    const uptimeMs = this.#clock.monotonic() - this.#startedMs
    this.#restartCount = nextRestartCount({ uptimeMs, wasReady, restartCount: this.#restartCount })
    this.#child = undefined
    this.#report = undefined
    this.health.forget()
    events.emit('cluster_reap', { subprocessPid: child.pid ?? 0, index: this.index, status, signal })
    this.#options.onEnd({ status, signal, wasReady })
  }
}
