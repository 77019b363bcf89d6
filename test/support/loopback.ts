import { once } from 'node:events'
import { type AddressInfo, createServer, type NetConnectOpts, type Server } from 'node:net'

/** Lets a server listen on the loopback interface; on a free port unless one is given. */
export const listen = async (server: Server, port = 0): Promise<void> => {
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}

/** The port on which the server listens. */
export const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** The database's URL through such a server. */
export const urlThrough = (server: Server, databaseUrl: string): string => {
  const url = new URL(databaseUrl)
  url.hostname = '127.0.0.1'
  url.port = String(portOf(server))
  return url.href
}

/** A port that is free, or was a moment ago. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await listen(server)
  const port = portOf(server)
  server.close()
  await once(server, 'close')
  return port
}

/** Where the database itself listens. */
export const addressOf = (databaseUrl: string): NetConnectOpts => {
  const { hostname, port } = new URL(databaseUrl)
  return { host: hostname, port: Number(port) }
}
