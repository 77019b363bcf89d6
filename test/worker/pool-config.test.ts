import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { connect, Socket } from 'node:net'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Database } from '../../src/sql/database.ts'
import { upsertProcessText } from '../../src/sql/process/processes.ts'
import { threadConfig } from '../../src/sql/threads/config.ts'
import { Heartbeat } from '../../src/worker/heartbeat.ts'
import { inTurn } from '../support/clean-up.ts'
import { enqueue, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { terminate } from '../support/sessions.ts'

const world = await openWorld()
const role = `guest_${randomUUID().slice(0, 8)}`
beforeAll(() => world.sql(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'token'`))
afterAll(
  inTurn(
    () => world.sql(`DROP ROLE ${role}`),
    () => world.close(),
  ),
)

const Good = jobClass('Good', () => undefined)

/** A pool of the user's program. */
const poolOf = (config: pg.PoolConfig): pg.Pool & AsyncDisposable => {
  const { hostname, port, pathname, username, password } = new URL(world.url)
  const own = { host: hostname, port: Number(port), database: pathname.slice(1), user: username, password }
  const pool = new pg.Pool({ ...own, ...config })
  pool.on('error', () => {})
  return Object.assign(pool, { [Symbol.asyncDispose]: () => pool.end() })
}

/** Sends heartbeats on connections configured like the pool's until one is written. */
const beatWith = async (pool: pg.Pool): Promise<void> => {
  const database = new Database({ pool })
  const processId = randomUUID()
  const heartbeat = new Heartbeat({
    config: database.clientConfig('GoodJob::Process'),
    statement: upsertProcessText(await world.adapter.database.facts()),
    processId,
    intervalMs: 100,
    state: () => '{}',
  })
  heartbeat.start()
  const find = () => world.sql('SELECT FROM good_job_processes WHERE id = $1', [processId])
  await until(async () => (await find()).length > 0, 'a heartbeat')
  await heartbeat.stop()
}

describe.each([0, 20])('with starts deferred by %i ms', (deferStart) => {
  test("the pool's type parsers and hooks stay in the main thread, and jobs run", async () => {
    await using pool = poolOf({
      types: { getTypeParser: () => (text: string) => `parsed ${text}` },
      log: () => {},
      verify: (_client, done) => done(),
    } as pg.PoolConfig)
    const refused = record('thread_unavailable')
    await using _worker = await world.start({ jobs: [Good], pool, deferStart })
    await performed(await enqueue(Good))
    refused.stop()
    expect(refused.seen).toEqual([])
  })

  test('a password function is called for each connection', async () => {
    const asked: unknown[] = []
    await using pool = poolOf({ user: role, password: passwordOf(asked) })
    await using _worker = await world.start({ jobs: [Good], pool, deferStart })
    await performed(await enqueue(Good))
    const before = asked.length
    const restored = next('lane_restored')
    await terminate(world, 'GoodJob::Lane')
    await restored
    await performed(await enqueue(Good))
    expect(asked.length).toBeGreaterThan(before)
  })

  test('a custom stream of the pool is kept: no thread starts, and thread_unavailable is emitted', async () => {
    const streams: Socket[] = []
    const stream = () => {
      const socket = new Socket()
      streams.push(socket)
      return socket
    }
    await using pool = poolOf({ stream } as pg.PoolConfig)
    const parts = ['heartbeat', ...(deferStart > 0 ? ['deferred starts'] : [])]
    const unavailable = next('thread_unavailable', parts.length)
    await using _worker = await world.start({ jobs: [Good], pool, deferStart })
    await performed(await enqueue(Good))
    const reason = 'stream of the pool cannot be sent to a thread'
    expect(await unavailable).toEqual(
      expect.arrayContaining(parts.map((part) => expect.objectContaining({ part, reason }))),
    )
    expect(streams.length).toBeGreaterThan(0)
  })
})

const passwordOf = (asked: unknown[]) =>
  (async (connection?: unknown) => {
    asked.push(connection)
    return 'token'
  }) as () => Promise<string>

test('the heartbeat thread works without type parsers', async () => {
  await using pool = poolOf({ types: { getTypeParser: () => (text: string) => text } as pg.CustomTypesConfig })
  await beatWith(pool)
})

test('the heartbeat thread requests its password', async () => {
  const asked: unknown[] = []
  await using pool = poolOf({ user: role, password: passwordOf(asked) })
  await beatWith(pool)
  const { hostname, port } = new URL(world.url)
  expect(asked).toEqual([expect.objectContaining({ user: role, host: hostname, port: Number(port) })])
})

describe('the part of a pool configuration that a thread gets', () => {
  const sent = (config: pg.ClientConfig) => threadConfig(config)

  test('is every plain value, also those that pg hides', () => {
    const ssl = Object.defineProperty({ ca: Buffer.from('ca'), rejectUnauthorized: true }, 'key', { value: 'pem' })
    expect(sent({ host: 'db', port: 1, password: 'x', ssl, types: pg.types as never, statement_timeout: 5 })).toEqual({
      kind: 'sendable',
      config: {
        host: 'db',
        port: 1,
        password: 'x',
        ssl: { ca: Buffer.from('ca'), rejectUnauthorized: true, key: 'pem' },
        statement_timeout: 5,
      },
      password: undefined,
    })
    const { privateKey } = generateKeyPairSync('ed25519')
    expect(sent({ ssl: { key: privateKey } as object })).toMatchObject({
      kind: 'sendable',
      config: { ssl: { key: privateKey } },
    })
  })

  test.each([
    [{ ssl: { ca: 'x', checkServerIdentity: () => undefined } }, 'ssl.checkServerIdentity'],
    [{ ssl: { SNICallback: () => {} } as object }, 'ssl.SNICallback'],
    [{ ssl: { secureContext: new (class SecureContext {})() } as object }, 'ssl.secureContext'],
    [{ stream: () => connect(1) }, 'stream'],
    [{ connection: new (class Connection {})() } as object, 'connection'],
  ] as [pg.ClientConfig, string][])('is nothing when it would be another connection: %o', (config, name) => {
    expect(sent(config)).toEqual({ kind: 'unsendable', reason: `${name} of the pool cannot be sent to a thread` })
  })
})
