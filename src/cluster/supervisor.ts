import type { ChildProcess } from 'node:child_process'
import { events } from '../events.ts'
import type { Health } from '../probe/health.ts'
import { after, type Clock } from '../time.ts'
import type { ReadyReport, ToSupervisor } from './messages.ts'
import { restartDelay } from './restarts.ts'
import { type SubprocessEnd, SubprocessHandle } from './subprocess-handle.ts'

/** A start that was refused: the text for standard error, and the exit code. */
type Refusal = Extract<ToSupervisor, { type: 'refused' }>

/** What a subprocess reported when it was ready, with its number and pid. */
export interface ReadySubprocess extends ReadyReport {
  readonly index: number
  readonly pid: number | undefined
}

export interface SupervisorOptions {
  /** The number of subprocesses. */
  readonly subprocesses: number
  readonly fork: (index: number) => ChildProcess
  /** Called before each fork, that of a replacement included. Never rejects. */
  readonly beforeFork: (index: number) => Promise<void>
  /** How long the subprocesses wait for their jobs. Infinity: without limit. */
  readonly shutdownTimeoutMs: number
  /** Every subprocess works for the first time. */
  readonly onReady: (subprocesses: readonly ReadySubprocess[]) => void
  /** The shutdown begins. */
  readonly onStopping: () => void
  readonly onRefused: (refusal: Refusal) => void
  readonly clock?: Clock
}

/**
 * - `running`: Each subprocess that ends is replaced.
 * - `stopping`: The subprocesses drain; none is replaced.
 * - `aborting`: The subprocesses abort their running jobs.
 * - `killing`: The subprocesses get SIGKILL, without regard to their jobs.
 */
type SupervisorState = 'running' | 'stopping' | 'aborting' | 'killing'

/** Beyond the shutdown timeout. GoodJob 4.23.1 supervisor.rb: SHUTDOWN_GRACE. */
const SHUTDOWN_GRACE_MS = 5_000
/** A subprocess that aborts its jobs ends within two seconds, and releases them first. */
const ABORT_GRACE_MS = 2_500

/**
 * Starts subprocesses, replaces those that end, and stops them together. It has no connection to the database and runs no job.
 * GoodJob: Supervisor.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #handles: readonly SubprocessHandle[]
  readonly #restarts = new Map<SubprocessHandle, NodeJS.Timeout>()
  #state: SupervisorState = 'running'
  #code = 0
  #isAnnounced = false
  #escalation: NodeJS.Timeout | undefined
  #ended: (code: number) => void = () => {}
  readonly #end = new Promise<number>((resolve) => {
    this.#ended = resolve
  })

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#handles = Array.from({ length: options.subprocesses }, (_, index) => this.#handle(index))
  }

  /** Of all subprocesses together. GoodJob 4.23.1 supervisor.rb: started? and connected?. */
  readonly health: Health = {
    started: () => this.#isStarted,
    connected: () => this.#isStarted && this.#handles.every(({ health }) => health.connected),
    ready: () => this.#isStarted && this.#handles.every(({ health }) => health.ready),
    whyNotReady: () => this.#whyNotReady(),
  }

  get #isStarted(): boolean {
    return this.#state === 'running' && this.#handles.every(({ isAlive }) => isAlive)
  }

  /** Starts the subprocesses. @returns the exit code, when all of them have ended after `stop` or `kill` */
  run(): Promise<number> {
    events.emit('cluster_start', { subprocesses: this.#handles.length })
    for (const handle of this.#handles) void this.#spawn(handle)
    return this.#end
  }

  /** Asks the subprocesses to drain and to end; the second call asks them to abort their running jobs. */
  stop(): void {
    if (this.#state === 'running') this.#drain()
    else if (this.#state === 'stopping') this.#abort()
  }

  /** Ends the subprocesses at once. Their jobs run again as interrupted when their process rows have expired. */
  kill(): void {
    this.#enter('killing')
    this.#code = 0
    this.#endRestarts()
    this.#killAll()
    this.#endIfEmpty()
  }

  #drain(): void {
    this.#enter('stopping')
    if (this.#handles.some((handle) => this.#restarts.has(handle) && handle.restartCount > 1)) this.#code = 1
    this.#endRestarts()
    for (const handle of this.#handles) handle.kill('SIGTERM')
    const { shutdownTimeoutMs } = this.#options
    if (Number.isFinite(shutdownTimeoutMs)) this.#escalateAfter(shutdownTimeoutMs + this.#graceMs)
    this.#endIfEmpty()
  }

  get #graceMs(): number {
    return this.#options.shutdownTimeoutMs > 0 ? SHUTDOWN_GRACE_MS : ABORT_GRACE_MS
  }

  #abort(): void {
    this.#enter('aborting')
    for (const handle of this.#handles) handle.send({ type: 'abort' })
    this.#escalateAfter(ABORT_GRACE_MS)
  }

  #escalateAfter(ms: number): void {
    clearTimeout(this.#escalation)
    this.#escalation = after(ms, () => this.#killAll())
  }

  #killAll(): void {
    for (const handle of this.#handles) handle.kill('SIGKILL')
  }

  #handle(index: number): SubprocessHandle {
    const { fork, clock } = this.#options
    const handle: SubprocessHandle = new SubprocessHandle({
      index,
      fork: () => fork(index),
      onReady: () => this.#announce(),
      onRefused: (refusal) => this.#refuse(refusal),
      onEnd: (end) => this.#onEnd(handle, end),
      ...(clock === undefined ? {} : { clock }),
    })
    return handle
  }

  async #spawn(handle: SubprocessHandle): Promise<void> {
    await this.#options.beforeFork(handle.index)
    if (this.#state === 'running') handle.start()
  }

  #onEnd(handle: SubprocessHandle, end: SubprocessEnd): void {
    if (this.#state === 'running') {
      this.#replace(handle)
      return
    }
    // A signal ended it before it listened to signals, so it had not begun to work.
    const isUnbegun = end.signal === 'SIGTERM' && !end.wasReady
    if (this.#state !== 'killing' && end.status !== 0 && !isUnbegun) this.#fail(1)
    this.#endIfEmpty()
  }

  #replace(handle: SubprocessHandle): void {
    const { index, restartCount } = handle
    const delay = restartDelay(restartCount)
    if (delay > 0) events.emit('cluster_backoff', { index, restartCount, delay })
    const timer = after(delay * 1000, () => {
      this.#restarts.delete(handle)
      void this.#spawn(handle)
    })
    this.#restarts.set(handle, timer)
  }

  #endRestarts(): void {
    for (const timer of this.#restarts.values()) clearTimeout(timer)
    this.#restarts.clear()
  }

  #announce(): void {
    const ready = this.#handles.flatMap(({ index, pid, report }) => (report ? [{ ...report, index, pid }] : []))
    if (this.#isAnnounced || ready.length < this.#handles.length) return
    this.#isAnnounced = true
    this.#options.onReady(ready)
  }

  /** Another start would be refused for the same reason, so the supervisor ends with the code of the subprocess. */
  #refuse(refusal: Refusal): void {
    if (this.#state !== 'running') return
    this.#options.onRefused(refusal)
    this.#drain()
    this.#fail(refusal.code)
  }

  #fail(code: number): void {
    this.#code = Math.max(this.#code, code)
  }

  #endIfEmpty(): void {
    if (this.#handles.some(({ isAlive }) => isAlive)) return
    clearTimeout(this.#escalation)
    events.emit('cluster_shutdown', { subprocesses: this.#handles.length })
    this.#ended(this.#code)
  }

  #whyNotReady(): string | undefined {
    if (this.#state !== 'running') return 'the supervisor is stopping'
    const late = this.#handles.find(({ isAlive, health }) => !isAlive || !health.ready)
    return late && `subprocess ${late.index} ${late.isAlive ? late.health.whyNotReady : 'does not run'}`
  }

  /** The one place where the state changes. */
  #enter(state: SupervisorState): void {
    if (this.#state === 'running') this.#options.onStopping()
    this.#state = state
  }
}
