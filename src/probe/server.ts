import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GoodJobError } from '../errors.ts'
import { events } from '../events.ts'

/** A client that has not sent its whole request by then is disconnected. GoodJob: SimpleHandler::SOCKET_READ_TIMEOUT. */
const REQUEST_TIMEOUT_MS = 5_000
/** How often Node looks for such clients. */
const CHECK_INTERVAL_MS = 1_000

/** The port of the probes cannot be used, usually because another process listens on it. */
export class ProbePortError extends GoodJobError {}

/** What to do about an error of `listen`, by Node's code. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens on it; choose another --probe-port, or end that process',
  EACCES: 'this user may not listen on it; choose a --probe-port of at least 1024',
}

/** The HTTP server of `--probe-port`, on every address of the machine. GoodJob: ProbeServer. */
export class ProbeServer {
  readonly #server: Server

  constructor(handler: RequestListener) {
    this.#server = createServer(
      {
        headersTimeout: REQUEST_TIMEOUT_MS,
        requestTimeout: REQUEST_TIMEOUT_MS,
        connectionsCheckingInterval: CHECK_INTERVAL_MS,
        // A probe written by hand, `GET /status HTTP/1.1` alone, is answered as by Ruby.
        requireHostHeader: false,
      },
      handler,
    )
  }

  /**
   * Listens on the port; 0 chooses a free one. @returns the port
   * @throws ProbePortError when the port cannot be used
   */
  async listen(port: number): Promise<number> {
    const listening = once(this.#server, 'listening')
    this.#server.listen(port)
    try {
      await listening
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      throw new ProbePortError(`the probe port ${port} cannot be used: ${ADVICE[code ?? ''] ?? message}`, {
        cause: error,
      })
    }
    this.#server.on('error', (error) => events.emit('worker_error', { part: 'probe server', error }))
    return (this.#server.address() as AddressInfo).port
  }

  /** Ends every connection too, so that no client delays the exit. */
  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
