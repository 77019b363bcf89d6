import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { addressOf, listen, urlThrough } from './loopback.ts'

/** A TCP proxy in front of Postgres behind which each statement takes `delayMs` longer. */
export class SlowNetwork implements AsyncDisposable {
  readonly url: string
  readonly #close: () => Promise<void>

  private constructor(url: string, close: () => Promise<void>) {
    this.url = url
    this.#close = close
  }

  static async start(databaseUrl: string, delayMs: number): Promise<SlowNetwork> {
    const open = new Set<Socket>()
    const server = createServer((client) => {
      const postgres = createConnection(addressOf(databaseUrl))
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
    await listen(server)
    return new SlowNetwork(urlThrough(server, databaseUrl), async () => {
      server.close()
      for (const socket of open) socket.destroy()
      await once(server, 'close')
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close()
  }
}
