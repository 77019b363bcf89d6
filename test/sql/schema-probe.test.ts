import type { Client } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { probeCapabilities } from '../../src/sql/schema/schema.ts'
import { createDatabase } from '../support/postgres.ts'
import { inSchema, refusal } from '../support/schemas.ts'
import { installVectorSchema, readVectorTables } from '../support/vector-schema.ts'

const database = await createDatabase({ template: 'empty' })
afterAll(() => database.drop())

describe('probeCapabilities', () => {
  test.each([
    ['4.0.0', false, false, false, false, false],
    ['4.9.3', false, true, false, false, false],
    ['4.14.2', false, true, false, false, false],
    ['4.19.2', true, true, false, false, true],
    ['4.20.0', true, true, false, true, true],
    ['4.23.1', true, true, true, true, true],
  ] as const)(
    'returns the capabilities of the tables of GoodJob %s [GJ-001]',
    async (version, hasLockType, hasJobsFinishedAt, hasConcurrencyClaims, hasQueueDequeueIndex, hasDiscardedIndex) => {
      await inSchema(database, 'public', async (client) => {
        await installVectorSchema(client, version)
        expect(await probeCapabilities(client)).toEqual({
          hasLockType,
          hasJobsFinishedAt,
          hasConcurrencyClaims,
          hasQueueDequeueIndex,
          hasDiscardedIndex,
          schema: 'public',
        })
      })
    },
  )

  test('works with the tables and columns of the first migration alone [GJ-001]', async () => {
    await inSchema(database, 'public', async (client) => {
      await installVectorSchema(client, '4.0.0')
      for (const index of await nonPrimaryIndexes(client)) await client.query(`DROP INDEX ${index}`)
      expect((await probeCapabilities(client)).hasLockType).toBe(false)
    })
  })

  test('names each column of the first migration that is missing [GJ-004]', async () => {
    await inSchema(database, 'public', async (client) => {
      await installVectorSchema(client, '4.23.1')
      for (const column of requiredColumns()) {
        const [table, name] = column.split('.')
        await client.query('SAVEPOINT complete')
        await client.query(`ALTER TABLE ${table} DROP COLUMN ${name}`)
        expect(await refusal(probeCapabilities(client))).toContain(` lack ${column}, which `)
        await client.query('ROLLBACK TO SAVEPOINT complete')
      }
    })
  })

  test('lists all gaps at once, missing tables too [GJ-004]', async () => {
    await inSchema(database, 'public', async (client) => {
      await installVectorSchema(client, '4.19.2')
      await client.query('DROP TABLE good_job_settings')
      await client.query('ALTER TABLE good_jobs DROP COLUMN labels, DROP COLUMN locked_by_id, DROP COLUMN lock_type')
      const text = await refusal(probeCapabilities(client))
      expect(text).toContain('the table good_job_settings, good_jobs.labels, good_jobs.locked_by_id,')
      expect(text).not.toContain('lock_type')
    })
  })

  test('throws an error that says how to install the tables if none exist', async () => {
    await inSchema(database, 'public', async (client) => {
      const text = await refusal(probeCapabilities(client))
      expect(text).toContain('has no GoodJob tables (search_path: public)')
      expect(text).toContain('good-job schema install')
      expect(text).toContain('bin/rails g good_job:install')
    })
  })
})

const requiredColumns = (): string[] =>
  Object.entries(readVectorTables('4.0.0')).flatMap(([name, table]) =>
    table.column_order.map((column) => `${name}.${column}`),
  )

const nonPrimaryIndexes = async (client: Client): Promise<string[]> => {
  const { rows } = await client.query<{ name: string }>(
    `SELECT indexrelid::regclass AS name FROM pg_index WHERE indrelid::regclass::text LIKE 'good_job%' AND NOT indisprimary`,
  )
  return rows.map((row) => row.name)
}
