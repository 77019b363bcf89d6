import { every } from '../time.ts'
import { datagramSender, type SendDatagram } from './datagram.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface SystemdOptions {
  readonly env: Environment
  /** Receives a sentence when systemd cannot be notified; the worker works without it. */
  readonly warn: (error: unknown, text: string) => void
}

/**
 * Notifies systemd of the state of this process, when systemd has started it (`NOTIFY_SOCKET`). The watchdog is notified by a timer of the
 * event loop: if a job blocks the event loop for longer than `WatchdogSec`, systemd restarts the service. GoodJob: SystemdService.
 */
export class Systemd {
  readonly #options: SystemdOptions
  readonly #send: SendDatagram | undefined
  #watchdog: NodeJS.Timeout | undefined
  #hasWarned = false

  private constructor(options: SystemdOptions, send: SendDatagram | undefined) {
    this.#options = options
    this.#send = send
  }

  /** Never rejects: what is wrong with the socket is a warning. */
  static async connect(options: SystemdOptions): Promise<Systemd> {
    const address = options.env.NOTIFY_SOCKET
    if (address === undefined || address === '') return new Systemd(options, undefined)
    try {
      return new Systemd(options, await datagramSender(address))
    } catch (error) {
      options.warn(error, NOT_NOTIFIED)
      return new Systemd(options, undefined)
    }
  }

  /** The start is complete. From now on the watchdog is notified, also during the shutdown. */
  ready(): void {
    this.#notify('READY=1')
    const intervalMs = watchdogIntervalMs(this.#options.env)
    if (this.#send === undefined || intervalMs === undefined) return
    this.#watchdog ??= every(intervalMs, () => this.#notify('WATCHDOG=1'))
  }

  stopping(): void {
    this.#notify('STOPPING=1')
  }

  close(): void {
    clearInterval(this.#watchdog)
  }

  #notify(state: string): void {
    try {
      this.#send?.(state)
      this.#hasWarned = false
    } catch (error) {
      if (!this.#hasWarned) this.#options.warn(error, NOT_NOTIFIED)
      this.#hasWarned = true
    }
  }
}

const NOT_NOTIFIED = 'systemd is not notified; the worker continues'

/**
 * Half of WATCHDOG_USEC, as sd_watchdog_enabled(3) recommends; undefined if the watchdog is off or meant for another process. GoodJob 4.23.1
 * sd_notify.rb#watchdog?.
 */
const watchdogIntervalMs = ({ WATCHDOG_USEC: usec = '', WATCHDOG_PID: pid }: Environment): number | undefined => {
  if (!/^\d+$/.test(usec) || Number(usec) === 0) return undefined
  if (pid !== undefined && pid !== String(process.pid)) return undefined
  return Number(usec) / 1000 / 2
}
