import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { addressOf, listen, urlThrough } from './loopback.ts'

/** A faulty server and its URL. */
export interface BadServer extends AsyncDisposable {
  readonly url: string
}

const AUTHENTICATION_OK = Buffer.from('R\0\0\0\x08\0\0\0\0', 'latin1')
const READY_FOR_QUERY = Buffer.from('Z\0\0\0\x05I', 'latin1')

const serve = async (onClient: (socket: Socket) => void, databaseUrl = 'postgres://user@host/any') => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    onClient(socket)
  })
  await listen(server)
  return {
    url: urlThrough(server, databaseUrl),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Accepts connections and sends nothing. */
export const silentServer = (): Promise<BadServer> => serve(() => undefined)

/** Accepts every login and never answers a statement. */
export const deafServer = (): Promise<BadServer> =>
  serve((socket) => {
    socket.once('data', () => socket.write(Buffer.concat([AUTHENTICATION_OK, READY_FOR_QUERY])))
  })

/** A pooler that cannot reach its server for the first `times` connections; later connections reach the database. */
export const refusingPooler = async (databaseUrl: string, times: number): Promise<BadServer> => {
  let left = times
  return serve((socket) => {
    left -= 1
    if (left >= 0) {
      socket.once('data', () =>
        socket.end(fatal('08P01', 'server login has been failing, cached error: connect failed')),
      )
      return
    }
    const server = createConnection(addressOf(databaseUrl))
    server.on('error', () => undefined)
    socket.pipe(server).pipe(socket)
    socket.on('close', () => server.destroy())
    server.on('close', () => socket.destroy())
  }, databaseUrl)
}

/**
 * The database, until the first statement that matches: with its answer comes the end of that connection, as when an administrator ends the
 * session in the same moment.
 */
export const endingServer = async (databaseUrl: string, statement: RegExp): Promise<BadServer> => {
  let hasEnded = false
  return serve((socket) => {
    const server = createConnection(addressOf(databaseUrl))
    let isLast = false
    server.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      isLast ||= !hasEnded && statement.test(chunk.toString('latin1'))
      hasEnded ||= isLast
      server.write(chunk)
    })
    server.on('data', (chunk: Buffer) => {
      if (!isLast) return void socket.write(chunk)
      socket.end(Buffer.concat([chunk, fatal('57P01', 'terminating connection due to administrator command')]))
      server.destroy()
    })
    socket.on('close', () => server.destroy())
    server.on('close', () => socket.end())
  }, databaseUrl)
}

const fatal = (code: string, message: string): Buffer => {
  const fields = Buffer.from(`SFATAL\0C${code}\0M${message}\0\0`)
  const header = Buffer.alloc(5)
  header.write('E')
  header.writeInt32BE(fields.length + 4, 1)
  return Buffer.concat([header, fields])
}
