import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import type { PoolClient } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import { Session } from '../../src/sql/connection/session.ts'
import { Database } from '../../src/sql/database.ts'
import { openWorld, until, type World } from '../support/harness.ts'
import { backends } from '../support/sessions.ts'
import { Wire } from '../support/wire.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** Makes the server end this connection; resolves when the client has noticed. */
const lose = async (client: PoolClient): Promise<void> => {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  // Not events.once: it would also listen for the error.
  const ended = new Promise((resolve) => client.once('end', resolve))
  await world.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
  await ended
}

test('a connection lost between two statements fails the next statement and does not end the process', async () => {
  const work = world.adapter.database.connection(async (client) => {
    await lose(client)
    return client.query('SELECT 1')
  })
  await expect(work).rejects.toThrow(/not queryable/)
})

test('the pool does not lend a lost connection again, also if its borrower did not notice the loss', async () => {
  const { database } = world.adapter
  await database.connection(lose)
  await expect(database.connection((client) => client.query('SELECT 1'))).resolves.toMatchObject({ rowCount: 1 })
})

/** A server that accepts every login and ends the session at once. */
const WELCOME_AND_GOODBYE = Buffer.concat([
  Buffer.from('R\0\0\0\x08\0\0\0\0', 'latin1'),
  Buffer.from('Z\0\0\0\x05I', 'latin1'),
  Buffer.from('E\0\0\0\x1eSFATAL\0C57P01\0Mshut down\0\0', 'latin1'),
])

test('a connection lost right after the login fails the next statement and does not end the process', async () => {
  const server = createServer((socket) => socket.once('data', () => socket.end(WELCOME_AND_GOODBYE)))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const database = new Database({ databaseUrl: `postgres://user@127.0.0.1:${port}/any` })
  await expect(database.connection((client) => client.query('SELECT 1'))).rejects.toThrow(/not queryable|terminated/)
  await database.close()
  server.close()
})

test("a reopened pool, and a reused caller's pool, handles errors of its idle connections like the first one", async () => {
  const callers = world.database.pool()
  for (const database of [new Database({ databaseUrl: world.url }), new Database({ pool: callers })]) {
    const before = database.pool.listenerCount('error')
    expect(before).toBeGreaterThan(0)
    await database.close()
    database.reopen()
    expect(database.pool.listenerCount('error')).toBe(before)
    await database.close()
  }
})

test('a session closed while it connects drops its connection at once', async () => {
  await using wire = await Wire.start(world.url)
  wire.hold('toClient')
  const session = new Session({
    config: { connectionString: wire.url() },
    createConnection: pgConnection,
    settings: {},
  })
  const opening = session.connect()
  await wire.connected
  await session.close()
  // The server is still silent.
  await expect(opening).rejects.toThrow('terminated')
  expect(session.isConnected).toBe(false)
})

test('a session that is not connected does not count as responsive', async () => {
  const session = new Session({ config: { connectionString: world.url }, createConnection: pgConnection, settings: {} })
  await expect(session.proveAlive(1_000)).rejects.toMatchObject({ code: '08003' })
  await session.connect()
  await session.proveAlive(1_000)
  await session.close()
  await expect(session.proveAlive(1_000)).rejects.toMatchObject({ code: '08003' })
})

test('schema facts that arrive after they were discarded do not replace those that are being read', async () => {
  await using poolWire = await Wire.start(world.url)
  await using sessionWire = await Wire.start(world.url)
  const database = new Database({ databaseUrl: poolWire.url() })
  const slow = new Session({
    config: { connectionString: sessionWire.url() },
    createConnection: pgConnection,
    settings: {},
  })
  const session = new Session({ config: { connectionString: world.url }, createConnection: pgConnection, settings: {} })
  await Promise.all([slow.connect(), session.connect(), database.answers()])
  poolWire.hold('toClient')
  const first = database.facts()
  database.forgetFacts()
  sessionWire.hold('toClient')
  const second = database.facts(slow)
  poolWire.release()
  await first
  // The second query has no answer yet: a caller with its own session sends its own query.
  await expect(database.facts(session)).resolves.toMatchObject({ timestampType: 'timestamp' })
  sessionWire.release()
  await second
  await Promise.all([slow.close(), session.close()])
  await database.close()
}, 15_000)

test('a late error of an abandoned connection does not affect the next one', async () => {
  const losses: unknown[] = []
  const session = new Session({
    config: { connectionString: world.url },
    createConnection: pgConnection,
    settings: {},
    onLost: (error) => losses.push(error),
  })
  await session.connect()
  const { end } = session
  const error = new Error('no answer')
  session.abandon(error, end)
  await session.connect()
  session.abandon(new Error('Connection terminated'), end)
  expect(session.isConnected).toBe(true)
  expect(losses).toEqual([error])
  await session.close()
})

test('two callers that connect a session at the same time get the same connection', async () => {
  const name = 'connected at once'
  const session = new Session({
    config: { connectionString: world.url, application_name: name },
    createConnection: pgConnection,
    settings: {},
  })
  await Promise.all([session.connect(), session.connect(), session.connect()])
  expect(await backends(world, name)).toHaveLength(1)
  await session.close()
  await until(async () => (await backends(world, name)).length === 0, 'the connection is closed')
})
