import { Client } from 'pg'
import { expect, test } from 'vitest'
import { databaseName } from '../../src/demo/postgres-databases.ts'
import { assertNoLeaks, createDatabase, serverUrl } from './postgres.ts'

const countTables = `SELECT count(*)::integer AS count FROM pg_tables WHERE schemaname = 'public'`

test('a test database has the GoodJob tables, or none if an empty one is requested', async () => {
  const goodjob = await createDatabase()
  const empty = await createDatabase({ template: 'empty' })
  expect((await goodjob.pool().query(countTables)).rows).toEqual([{ count: 6 }])
  expect((await empty.pool().query(countTables)).rows).toEqual([{ count: 0 }])
  await goodjob.drop()
  await empty.drop()
})

test('rows of one test database are not in the next one', async () => {
  const first = await createDatabase()
  await first.pool().query(`INSERT INTO good_job_settings (created_at, updated_at) VALUES (now(), now())`)
  const second = await createDatabase()
  expect((await second.pool().query('SELECT count(*)::integer AS count FROM good_job_settings')).rows[0]).toEqual({
    count: 0,
  })
  await first.drop()
  await second.drop()
})

test('drop ends the pools and connections of the database, also if they have ended already, and removes the database', async () => {
  const database = await createDatabase()
  const pool = database.pool()
  await pool.query('SELECT 1')
  await pool.end()
  const client = await database.connect()
  await client.end()
  await database.connect()
  await database.drop()
  const server = new Client({ connectionString: serverUrl() })
  await server.connect()
  const { rowCount } = await server.query('SELECT FROM pg_database WHERE datname = $1', [databaseName(database.url)])
  await server.end()
  expect(rowCount).toBe(0)
})

test('drop fails for a connection that a test left open, names its locks, and still removes the database', async () => {
  const database = await createDatabase()
  const left = new Client({ connectionString: database.url, application_name: 'forgetful' })
  left.on('error', () => {})
  await left.connect()
  await left.query('SELECT pg_advisory_lock(1), pg_advisory_lock(2)')
  await expect(assertNoLeaks(database.url)).rejects.toThrow(
    /"forgetful" idle, 2 advisory locks: SELECT pg_advisory_lock/,
  )
  await expect(database.drop()).rejects.toThrow(/forgetful/)
  await expect(createDatabaseClient(database.url)).rejects.toMatchObject({ code: '3D000' })
  await left.end()
})

const createDatabaseClient = async (url: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.end()
}
