import { HEALTH_INTERVAL_MS } from '../../cluster/child-health.ts'
import {
  type HealthReport,
  type ReadyReport,
  type ToSubprocess,
  type ToSupervisor,
  unwrapMessage,
  wrapMessage,
} from '../../cluster/messages.ts'
import type { Health } from '../../probe/health.ts'
import { every } from '../../time.ts'
import { UsageError } from '../failure.ts'

/** What the supervisor tells a subprocess about itself, as the value of the hidden option `--subprocess`. */
export interface SubprocessRole {
  readonly index: number
  readonly queues: string
}

/** A subprocess's connection to its supervisor: Node's IPC channel. */
export class SupervisorLink {
  readonly role: SubprocessRole

  constructor(role: SubprocessRole) {
    this.role = role
  }

  /** @throws UsageError in a process that no supervisor started */
  static parse(text: string | undefined): SupervisorLink | undefined {
    if (text === undefined) return undefined
    if (process.send === undefined) throw new UsageError('--subprocess is only for the supervisor; use --subprocesses')
    return new SupervisorLink(JSON.parse(text) as SubprocessRole)
  }

  /** Calls `onAbort` when the supervisor asks for it, and `onGone` when the supervisor has ended. */
  watch({ onAbort, onGone }: { readonly onAbort: () => void; readonly onGone: () => void }): void {
    process.on('message', (value) => {
      if (unwrapMessage<ToSubprocess>(value)?.type === 'abort') onAbort()
    })
    process.on('disconnect', onGone)
    if (!process.connected) onGone()
  }

  /** Reports that the worker is ready, and its health from now on. */
  ready(report: ReadyReport, health: Health): void {
    void this.#send({ type: 'ready', ...report })
    this.#beat(health)
    every(HEALTH_INTERVAL_MS, () => this.#beat(health)).unref()
  }

  /** Reports a start that another start could not change. @returns whether the supervisor was there to hear it */
  refuse(text: string, code: number): Promise<boolean> {
    return this.#send({ type: 'refused', text, code })
  }

  #beat(health: Health): void {
    const report: HealthReport = {
      started: health.started(),
      connected: health.connected(),
      ready: health.ready(),
      whyNotReady: health.whyNotReady?.(),
    }
    void this.#send({ type: 'health', ...report })
  }

  #send(message: ToSupervisor): Promise<boolean> {
    return new Promise((resolve) => {
      if (!process.connected || process.send === undefined) resolve(false)
      else process.send(wrapMessage(message), undefined, undefined, (error) => resolve(error === null))
    })
  }
}
