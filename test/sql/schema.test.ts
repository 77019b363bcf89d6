import { afterAll, describe, expect, test } from 'vitest'
import { printSchema } from '../../src/sql/schema/schema.ts'
import { GOOD_JOB_TABLES, LATER_COLUMNS } from '../../src/sql/schema/tables.ts'
import { createDatabase } from '../support/postgres.ts'
import { inSchema } from '../support/schemas.ts'
import { readTables, readVectorTables, SCHEMA_VERSIONS } from '../support/vector-schema.ts'

const database = await createDatabase({ template: 'empty' })
afterAll(() => database.drop())

describe('schema.sql', () => {
  test('creates exactly the tables of the install migration of GoodJob 4.23.1', async () => {
    await inSchema(database, 'public', async (client) => {
      await client.query(printSchema())
      expect(await readTables(client)).toEqual(readVectorTables('4.23.1'))
    })
  })

  test('changes nothing in a second run, and adds no index under another name', async () => {
    await inSchema(database, 'public', async (client) => {
      await client.query(printSchema())
      await client.query(`INSERT INTO good_job_settings (key, created_at, updated_at) VALUES ('mine', now(), now())`)
      await client.query(printSchema())
      expect(await readTables(client)).toEqual(readVectorTables('4.23.1'))
      expect((await client.query('SELECT key FROM good_job_settings')).rows).toEqual([{ key: 'mine' }])
    })
  })

  test('names no schema', () => {
    expect(printSchema()).not.toMatch(/\bpublic\b|\b\w+\.\w+ \(/)
  })
})

test('the value table lists the same tables as the vectors', () => {
  const vector = readVectorTables('4.23.1')
  expect(Object.keys(GOOD_JOB_TABLES).sort()).toEqual(Object.keys(vector).sort())
  for (const version of SCHEMA_VERSIONS) {
    for (const [name, table] of Object.entries(readVectorTables(version))) {
      const facts = GOOD_JOB_TABLES[name]
      for (const column of table.column_order)
        expect(isThereSince(LATER_COLUMNS[`${name}.${column}`], version)).toBe(true)
      expect(isThereSince(facts?.since, version)).toBe(true)
    }
  }
})

const isThereSince = (since: string | undefined, version: string): boolean =>
  since === undefined || since.localeCompare(version, 'en', { numeric: true }) <= 0
