import pg, { type Client } from 'pg'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { ConfigurationError } from '../../src/errors.ts'
import type { CallerTransaction } from '../../src/job/adapters/queue-adapter.ts'
import type { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { jobClass, openWorld, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_batches'))

const EchoJob = jobClass('EchoJob', () => {})
const make = (): Job => new (EchoJob as unknown as new () => Job)()
const stored = async () => (await world.sql('SELECT id FROM good_jobs')).length

/** Every way to give a transaction. */
const WAYS: readonly (readonly [name: string, enqueue: (transaction: CallerTransaction) => Promise<unknown>])[] = [
  ['set', async (transaction) => EchoJob.set({ transaction }).performLater()],
  ['enqueue', async (transaction) => make().enqueue({ transaction })],
  ['adapter.enqueue', async (transaction) => world.adapter.enqueue(make(), { transaction })],
  ['performAllLater', async (transaction) => performAllLater([make(), make()], { transaction })],
  ['performAllLater of jobs with set', async (transaction) => performAllLater([make().set({ transaction })])],
  ['Batch.enqueue', async (transaction) => Batch.enqueue({ transaction, onSuccess: EchoJob }, [make()])],
  ['Batch.enqueue of a block', async (transaction) => Batch.enqueue({ transaction }, () => make().enqueue())],
  [
    'batch.enqueue without members',
    async (transaction) => new Batch({ onFinish: EchoJob }).enqueue([], { transaction }),
  ],
  ['batch.add', async (transaction) => new Batch().add(make(), { transaction })],
  ['Batch.enqueueAll', async (transaction) => Batch.enqueueAll([[{ onSuccess: EchoJob }, make()]], { transaction })],
]

/** A wrapper of exactly the declared type, as strict as the clients of other libraries. */
const wrapper = (client: Client): CallerTransaction => ({
  query: async (...given: unknown[]) => {
    const [text, values] = given
    if (typeof text !== 'string' || given.length > 2) throw new Error('query takes text and values')
    if (values !== undefined && !Array.isArray(values)) throw new Error('values is no list')
    const { rows, fields } = await client.query(text, values as unknown[])
    const unreadable = fields.find(({ dataTypeID }) => !READABLE.has(dataTypeID))
    if (unreadable) throw new Error(`Failed to deserialize column ${unreadable.name} of type ${unreadable.dataTypeID}`)
    // As clients do that return only rows.
    return { rows, rowCount: rows.length }
  },
})

/** A client like postgres.js: it reads the parameter types, and serializes a JSON parameter itself. */
const jsonWriter = (client: Client): CallerTransaction => ({
  query: async (text: string, values: unknown[] = []) => {
    await client.query(`PREPARE described AS ${text}`)
    const { rows } = await client.query<{ types: string[] }>(
      `SELECT parameter_types::text[] AS types FROM pg_prepared_statements WHERE name = 'described'`,
    )
    await client.query('DEALLOCATE described')
    const isJson = (index: number) => /^jsonb?$/.test(rows[0]?.types[index] ?? '')
    return client.query(
      text,
      values.map((value, index) => (isJson(index) ? JSON.stringify(value) : value)),
    )
  },
})

test.each(WAYS)('%s, through a client that serializes JSON itself, stores objects', async (_name, enqueueBy) => {
  const client = await world.database.connect()
  await client.query('BEGIN')
  await enqueueBy(jsonWriter(client))
  await client.query('COMMIT')
  await client.end()
  const kinds = await world.sql<{ kind: string }>(
    'SELECT jsonb_typeof(serialized_params) AS kind FROM good_jobs UNION ALL SELECT jsonb_typeof(serialized_properties) FROM good_job_batches',
  )
  expect(kinds.length).toBeGreaterThan(0)
  expect(kinds.filter(({ kind }) => kind !== null && kind !== 'object')).toEqual([])
})

/** Types whose values every client reads alike: bool, int4, text. */
const READABLE: ReadonlySet<number> = new Set([16, 23, 25])

describe.each(WAYS)('%s', (_name, enqueue) => {
  test.each(['COMMIT', 'ROLLBACK'])('in a wrapper of the declared type follows its %s', async (end) => {
    const client = await world.database.connect()
    await client.query('BEGIN')
    await enqueue(wrapper(client))
    expect(await stored()).toBe(0)
    await client.query(end)
    expect((await stored()) > 0).toBe(end === 'COMMIT')
    await client.end()
  })

  test('refuses a pool, which has no open transaction', async () => {
    const refused = enqueue(world.pool as never)
    await expect(refused).rejects.toThrow(ConfigurationError)
    await expect(refused).rejects.toThrow(
      /transaction is a pool, .* const client = await pool\.connect\(\), send BEGIN on it/,
    )
    expect(await stored()).toBe(0)
  })

  test('refuses a client whose transaction is over, or never began', async () => {
    const client = await world.pool.connect()
    const refusal = 'transaction: the client has no open transaction'
    await expect(enqueue(client)).rejects.toThrow(refusal)
    await client.query('BEGIN')
    await client.query('COMMIT')
    await expect(enqueue(client)).rejects.toThrow(refusal)
    client.release()
    await expect(enqueue(client)).rejects.toThrow(refusal)
    expect(await stored()).toBe(0)
  })

  test('refuses an object without query(), and a result without rows', async () => {
    for (const [value, text] of [
      [true, 'got true'],
      [{}, 'got an object without query'],
      ['BEGIN', 'got a string'],
      [
        Object.assign(() => {}, { unsafe: () => {} }),
        'a postgres.js transaction has no such method; pass { query: async',
      ],
      [{ $queryRawUnsafe: () => {} }, 'a Prisma transaction has no such method; pass { query: async'],
      [
        { query: {}, execute: 1, select: 1, insert: 1 },
        'a Drizzle transaction has no such method; open the transaction on',
      ],
      [{ executeQuery: 1, selectFrom: 1 }, 'a Kysely transaction has no such method; pass { query: async'],
    ] as const) {
      const refused = enqueue(value as never)
      await expect(refused).rejects.toThrow(ConfigurationError)
      await expect(refused).rejects.toThrow(text)
    }
    await expect(enqueue({ query: async () => [] } as never)).rejects.toThrow(
      'The query of transaction resolved with an array, not with { rows, rowCount }: wrap it',
    )
    expect(await stored()).toBe(0)
  })
})

test('treats null and undefined as no transaction', async () => {
  await make().enqueue({ transaction: null })
  await performAllLater([make()], { transaction: undefined })
  await Batch.enqueue({ transaction: null }, make())
  expect(await stored()).toBe(3)
})

test('accepts a client whose BEGIN is still under way', async () => {
  const client = await world.database.connect()
  const begun = client.query('BEGIN')
  await make().enqueue({ transaction: client })
  await begun
  await client.query('ROLLBACK')
  expect(await stored()).toBe(0)
  await client.end()
})

test('times of a batch survive a client that reads them as dates of its own zone', async () => {
  const client = await world.database.connect()
  const batch = await new Batch({ onFinish: EchoJob }).save()
  await world.sql(`UPDATE good_job_batches SET discarded_at = '2026-01-31 12:00:00.123456'`)
  await client.query(`SET TimeZone = 'America/New_York'; SET DateStyle = 'SQL, DMY'; BEGIN`)
  await batch.enqueue([], { transaction: wrapper(client) })
  await client.query('COMMIT')
  await client.end()
  expect(
    await world.sql(
      "SELECT discarded_at::text, jobs_finished_at > now() - interval '1 day' AS ended FROM good_job_batches",
    ),
  ).toEqual([{ discarded_at: '2026-01-31 12:00:00.123456', ended: true }])
})

test('a job with a transaction of its own is refused in a batch that is not part of it', async () => {
  const client = await world.database.connect()
  await client.query('BEGIN')
  const text = 'give the transaction to the batch'
  const own = () => make().set({ transaction: client })
  await expect(Batch.enqueue({}, () => own().enqueue())).rejects.toThrow(text)
  await expect(Batch.enqueue({}, () => performAllLater([make()], { transaction: client }))).rejects.toThrow(text)
  await expect(Batch.enqueue({}, own())).rejects.toThrow(text)
  await expect(Batch.enqueueAll([[{}, own()]])).rejects.toThrow(text)
  await expect(performAllLater([own()], { transaction: wrapper(client) })).rejects.toThrow(
    'was given another transaction',
  )
  await Batch.enqueue({ transaction: client }, () => own().enqueue())
  await Batch.enqueue({ transaction: client }, own())
  expect(await stored()).toBe(0)
  await client.query('COMMIT')
  expect(await stored()).toBe(2)
  await client.end()
})

describe('the first enqueue of a process', () => {
  test('inside an aborted transaction fails alone', async () => {
    const adapter = new Adapter({ databaseUrl: world.url })
    const client = await world.database.connect()
    await client.query('BEGIN')
    await expect(client.query('SELECT 1 / 0')).rejects.toThrow('division by zero')
    const [inside, outside] = await Promise.allSettled([
      adapter.enqueue(make(), { transaction: client }),
      adapter.enqueue(make()),
    ])
    expect(inside).toMatchObject({ status: 'rejected', reason: { code: '25P02' } })
    expect(outside.status).toBe('fulfilled')
    await client.end()
    await adapter.close()
  })

  test('inside a transaction that waits for a lock does not delay other enqueues', async () => {
    const adapter = new Adapter({ databaseUrl: world.url })
    const [holder, waiter] = [await world.database.connect(), await world.database.connect()]
    await holder.query('SELECT pg_advisory_lock(1)')
    await waiter.query('BEGIN')
    const waiting = waiter.query('SELECT pg_advisory_lock(1)')
    const inside = adapter.enqueue(make(), { transaction: waiter })
    await adapter.enqueue(make())
    await adapter.enqueueAll([make()])
    expect(await stored()).toBe(2)
    await holder.query('SELECT pg_advisory_unlock(1)')
    await Promise.all([waiting, inside])
    await waiter.query('COMMIT')
    expect(await stored()).toBe(3)
    await Promise.all([holder.end(), waiter.end(), adapter.close()])
  })

  test("inside a transaction with another search_path finds that path's tables, and does not affect other enqueues", async () => {
    await world.sql('CREATE SCHEMA tenant')
    await world.sql('CREATE TABLE tenant.good_job_batches (LIKE good_job_batches INCLUDING ALL)')
    await world.sql('ALTER TABLE tenant.good_job_batches DROP COLUMN jobs_finished_at')
    const adapter = new Adapter({ databaseUrl: world.url })
    const client = await world.database.connect()
    await client.query('BEGIN; SET LOCAL search_path = tenant, public')
    await adapter.enqueue(make(), { transaction: client })
    await client.query('COMMIT')
    expect(await adapter.database.facts()).toMatchObject({ hasJobsFinishedAt: true })
    await world.sql('DROP SCHEMA tenant CASCADE')
    await client.end()
    await adapter.close()
  })

  test('inside a transaction with the only connection of the pool needs no second connection', async () => {
    const pool = new pg.Pool({ connectionString: world.url, max: 1 })
    const adapter = new Adapter({ pool })
    const client = await pool.connect()
    await client.query('BEGIN')
    // Waits for the connection, and reads the facts when it has it.
    const outside = adapter.enqueue(make())
    await adapter.enqueue(make(), { transaction: client })
    await new Batch({}, adapter).enqueue(make(), { transaction: client })
    await client.query('COMMIT')
    client.release()
    await outside
    expect(await stored()).toBe(3)
    await pool.end()
  })

  test('inside a transaction succeeds although the server accepts no further connection', async () => {
    await world.sql(`CREATE ROLE single LOGIN PASSWORD 'single' CONNECTION LIMIT 1`)
    await world.sql('GRANT ALL ON ALL TABLES IN SCHEMA public TO single')
    const url = new URL(world.url)
    url.username = url.password = 'single'
    const client = new pg.Client({ connectionString: url.href })
    await client.connect()
    const adapter = new Adapter({ databaseUrl: url.href })
    await client.query('BEGIN')
    await adapter.enqueue(make(), { transaction: client })
    await client.query('COMMIT')
    expect(await stored()).toBe(1)
    await client.end()
    await adapter.close()
    await until(
      async () => (await world.sql(`SELECT 1 FROM pg_stat_activity WHERE usename = 'single'`)).length === 0,
      'no session of the role',
    )
    await world.sql('DROP OWNED BY single')
    await world.sql('DROP ROLE single')
  })
})
