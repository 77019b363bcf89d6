import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { addressOf, listen, urlThrough } from '../test/support/loopback.ts'

/** The direction of a stall: data from the worker, data from the server, or both. */
export type Direction = 'to server' | 'to worker' | 'both'

interface Link {
  readonly worker: Socket
  readonly server: Socket
}

/** The proxy between one worker and Postgres, which can be cut, or stalled for a while without losing data. */
export class WorkerProxy implements AsyncDisposable {
  readonly #databaseUrl: string
  readonly #links = new Set<Link>()
  readonly #server: Server
  #stalled: Direction | undefined

  private constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl
    this.#server = createServer((socket) => this.#link(socket))
  }

  static async start(databaseUrl: string): Promise<WorkerProxy> {
    const proxy = new WorkerProxy(databaseUrl)
    await listen(proxy.#server)
    return proxy
  }

  /** The database's URL through this proxy. */
  get url(): string {
    return urlThrough(this.#server, this.#databaseUrl)
  }

  /** The ports from which the server sees this worker's connections. */
  get ports(): number[] {
    return [...this.#links].flatMap(({ server }) => server.localPort ?? [])
  }

  /** Ends every connection with a reset. */
  cut(): void {
    for (const { worker, server } of this.#links) {
      worker.resetAndDestroy()
      server.resetAndDestroy()
    }
  }

  /** Holds data back, on open and new connections, until `resume`. */
  stall(direction: Direction): void {
    this.#stalled = direction
    for (const link of this.#links) this.#keepBack(link)
  }

  resume(): void {
    this.#stalled = undefined
    for (const { worker, server } of this.#links) {
      worker.resume()
      server.resume()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    this.cut()
  }

  #keepBack({ worker, server }: Link): void {
    if (this.#stalled === 'to server' || this.#stalled === 'both') worker.pause()
    if (this.#stalled === 'to worker' || this.#stalled === 'both') server.pause()
  }

  #link(worker: Socket): void {
    const server = createConnection({ ...addressOf(this.#databaseUrl), noDelay: true })
    worker.setNoDelay(true)
    const link = { worker, server }
    this.#links.add(link)
    for (const [from, to] of [[worker, server] as const, [server, worker] as const]) {
      from.on('data', (chunk: Buffer) => to.write(chunk))
      from.on('error', () => undefined)
      from.on('close', () => {
        this.#links.delete(link)
        to.destroy()
      })
    }
    this.#keepBack(link)
  }
}
