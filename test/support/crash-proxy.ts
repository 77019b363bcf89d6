import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { addressOf, listen, urlThrough } from './loopback.ts'

/** Where the process behind the proxy dies: before the server gets a statement, or after the server answered it. */
export interface CrashPoint {
  readonly when: 'before' | 'after'
  /** The connections that count, by their application_name. @default the completer's */
  readonly session?: RegExp
  /** Text or name of the statement. */
  readonly statement: RegExp
}

const COMPLETER = /^GoodJob::Completer$/
const APPLICATION_NAME = /application_name\0([^\0]*)\0/

/** The last message of an answer: ReadyForQuery, five bytes and a state. */
const READY_FOR_QUERY = Buffer.from([0x5a, 0, 0, 0, 5])

/**
 * A TCP proxy between a worker process and Postgres that kills the worker at one statement boundary. A statement is
 * known by its text, or by its name when the server has prepared it.
 */
export class CrashProxy implements AsyncDisposable {
  readonly #databaseUrl: string
  readonly #point: CrashPoint
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  #crash: () => void = () => {}
  #isCrashed = false

  private constructor(databaseUrl: string, point: CrashPoint) {
    this.#databaseUrl = databaseUrl
    this.#point = point
    this.#server = createServer((client) => this.#link(client))
  }

  static async start(databaseUrl: string, point: CrashPoint): Promise<CrashProxy> {
    const proxy = new CrashProxy(databaseUrl, point)
    await listen(proxy.#server)
    return proxy
  }

  /** The database's URL through the proxy. */
  get url(): string {
    return urlThrough(this.#server, this.#databaseUrl)
  }

  /** The process to kill. */
  onCrash(crash: () => void): void {
    this.#crash = crash
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #link(client: Socket): void {
    const server = createConnection(addressOf(this.#databaseUrl))
    const { session = COMPLETER, statement, when } = this.#point
    let isMeant = false
    let isAwaited = false
    client.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      const name = APPLICATION_NAME.exec(text)?.[1]
      if (name !== undefined) isMeant = session.test(name)
      const isPoint = isMeant && statement.test(text)
      if (isPoint && when === 'before') this.#die()
      if (this.#isCrashed) return
      if (isPoint) isAwaited = true
      server.write(chunk)
    })
    server.on('data', (chunk: Buffer) => {
      if (isAwaited && chunk.includes(READY_FOR_QUERY)) this.#die()
      if (!this.#isCrashed) client.write(chunk)
    })
    for (const [socket, other] of [[client, server] as const, [server, client] as const]) {
      this.#sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
  }

  #die(): void {
    if (this.#isCrashed) return
    this.#isCrashed = true
    this.#crash()
  }
}
