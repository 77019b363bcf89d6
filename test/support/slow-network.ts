import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { setTimeout as sleepFor } from 'node:timers/promises'

/** A TCP proxy in front of Postgres behind which each statement takes `delayMs` longer. */
export class SlowNetwork implements AsyncDisposable {
  readonly url: string
  readonly #close: () => Promise<void>

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.#close = close
  }

  static async start(databaseUrl: string, delayMs: number): Promise<SlowNetwork> {
    const { hostname: host, port } = new URL(databaseUrl)
    const open = new Set<Socket>()
    const server = createServer((client) => {
      const postgres = createConnection({ host, port: Number(port) })
      client.on('data', async (chunk: Buffer) => {
        await sleepFor(delayMs)
        postgres.write(chunk)
      })
      postgres.pipe(client)
      for (const socket of [client, postgres]) {
        open.add(socket)
        socket.on('error', () => undefined)
        socket.on('close', () => {
          client.destroy()
          postgres.destroy()
          open.delete(socket)
        })
      }
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = new URL(databaseUrl)
    url.hostname = '127.0.0.1'
    url.port = String((server.address() as { port: number }).port)
    return new SlowNetwork(url.href, async () => {
      server.close()
      for (const socket of open) socket.destroy()
      await once(server, 'close')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
