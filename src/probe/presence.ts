import type { Logger } from '../job/logger.ts'
import { probeHandler } from './handler.ts'
import type { Health } from './health.ts'
import { writePidfile } from './pidfile.ts'
import { ProbeServer } from './server.ts'
import { Systemd } from './systemd.ts'

export interface PresenceOptions {
  /** Port of the HTTP probes; undefined: none. */
  readonly probePort: number | undefined
  /** Path of the pid file; undefined: none. */
  readonly pidfile: string | undefined
}

/** How other programs see this process: the pid file, the port of the probes, the notifications to systemd. */
export class Presence {
  readonly #removePidfile: (() => void) | undefined
  readonly #server: ProbeServer | undefined
  readonly #systemd: Systemd

  private constructor(removePidfile: (() => void) | undefined, server: ProbeServer | undefined, systemd: Systemd) {
    this.#removePidfile = removePidfile
    this.#server = server
    this.#systemd = systemd
  }

  /**
   * Call it before the worker starts: the probes are answered from now on.
   * @throws ProbePortError, PidfileError, ConfigurationError when the start must be refused
   */
  static async open({ pidfile, probePort }: PresenceOptions, health: Health, logger: Logger): Promise<Presence> {
    const removePidfile = pidfile === undefined ? undefined : writePidfile(pidfile)
    const server = probePort === undefined ? undefined : new ProbeServer(probeHandler(health))
    if (server !== undefined) logger.info({ port: await server.listen(probePort ?? 0) }, 'Answering probes')
    const warn = (error: unknown, text: string) => logger.warn({ err: error }, text)
    return new Presence(removePidfile, server, await Systemd.connect({ env: process.env, warn }))
  }

  /** The worker claims jobs. */
  ready(): void {
    this.#systemd.ready()
  }

  /** The shutdown begins; the probes are still answered. */
  stopping(): void {
    this.#systemd.stopping()
  }

  /** The last step before the process exits. */
  close(): void {
    this.#systemd.close()
    this.#server?.close()
    this.#removePidfile?.()
  }
}
