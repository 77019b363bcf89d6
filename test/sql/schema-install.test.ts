import { afterAll, describe, expect, test } from 'vitest'
import { checkSchema, installSchema, probeCapabilities } from '../../src/sql/schema/schema.ts'
import { GOOD_JOB_TABLES } from '../../src/sql/schema/tables.ts'
import { createDatabase } from '../support/postgres.ts'
import { inSchema, refusal } from '../support/schemas.ts'
import { installVectorSchema, readTables, readVectorTables } from '../support/vector-schema.ts'

const database = await createDatabase({ template: 'empty' })
afterAll(() => database.drop())

const TABLES = Object.keys(GOOD_JOB_TABLES)

describe('installSchema', () => {
  test('creates all tables in an empty schema and changes nothing in a second run', async () => {
    await inSchema(database, 'public', async (client) => {
      expect(await installSchema(client)).toEqual({ schema: 'public', installed: TABLES, existing: [] })
      expect(await installSchema(client)).toEqual({ schema: 'public', installed: [], existing: TABLES })
      expect(await readTables(client)).toEqual(readVectorTables('4.23.1'))
    })
  })

  test('works in the schema that search_path names first, also when its name needs quotes', async () => {
    await inSchema(database, '"Jobs of $ours"', async (client) => {
      await installSchema(client)
      expect(await installSchema(client)).toEqual({ schema: 'Jobs of $ours', installed: [], existing: TABLES })
      expect((await probeCapabilities(client)).schema).toBe('Jobs of $ours')
      expect((await checkSchema(client)).isCurrent).toBe(true)
    })
  })

  test('accepts tables that search_path finds in a later schema', async () => {
    await inSchema(database, 'public', async (client) => {
      await installSchema(client)
      await client.query('CREATE SCHEMA app')
      await client.query('SET LOCAL search_path TO app, public')
      expect(await installSchema(client)).toEqual({ schema: 'public', installed: [], existing: TABLES })
      expect((await probeCapabilities(client)).schema).toBe('public')
    })
  })

  test('creates the tables once if it runs twice at the same time', async () => {
    const twice = await createDatabase({ template: 'empty' })
    try {
      const pool = twice.pool()
      const results = await Promise.all([installSchema(pool), installSchema(pool), installSchema(pool)])
      for (const { installed, existing } of results) expect([...installed, ...existing]).toEqual(TABLES)
      expect((await checkSchema(pool)).isCurrent).toBe(true)
    } finally {
      await twice.drop()
    }
  })

  test.each(['4.0.0', '4.9.3', '4.14.2', '4.19.2', '4.20.0'] as const)(
    'refuses the tables of a Rails application on GoodJob %s and leaves them as they are',
    async (version) => {
      await inSchema(database, 'public', async (client) => {
        await installVectorSchema(client, version)
        await client.query('CREATE TABLE schema_migrations (version text PRIMARY KEY)')
        const text = await refusal(installSchema(client))
        expect(text).toContain('the table good_job_concurrency_claims is missing')
        expect(text).toContain('the index index_good_job_executions_on_created_at is missing')
        expect(text).toContain('bin/rails g good_job:update && bin/rails db:migrate')
        expect(text).toContain('A worker runs on them as they are.')
        const { schema_migrations: migrations, ...tables } = await readTables(client)
        expect(tables).toEqual(readVectorTables(version))
        expect(migrations?.column_order).toEqual(['version'])
        expect((await client.query('SELECT version FROM schema_migrations')).rows).toEqual([])
      })
    },
  )

  test('refuses tables of unknown origin that lack a column, and names the column', async () => {
    await inSchema(database, 'public', async (client) => {
      await installSchema(client)
      await client.query('ALTER TABLE good_jobs DROP COLUMN labels')
      const text = await refusal(installSchema(client))
      expect(text).toContain('the column good_jobs.labels is missing')
      expect(text).toContain('choose an empty schema through search_path')
      expect(text).not.toContain('Rails')
      expect(text).not.toContain('A worker runs')
    })
  })

  test('refuses a column of another type and an index of another definition', async () => {
    await inSchema(database, 'public', async (client) => {
      await installSchema(client)
      await client.query('ALTER TABLE good_job_executions ALTER COLUMN process_id TYPE text')
      await client.query('DROP INDEX index_good_jobs_on_job_class')
      await client.query('CREATE UNIQUE INDEX index_good_jobs_on_job_class ON good_jobs (job_class)')
      const text = await refusal(installSchema(client))
      expect(text).toContain('good_job_executions.process_id is text, not uuid')
      expect(text).toContain('index_good_jobs_on_job_class is UNIQUE btree (job_class), not btree (job_class)')
    })
  })

  test('accepts variants that Rails applications may choose: timestamptz, no precision, more columns and indexes', async () => {
    await inSchema(database, 'public', async (client) => {
      await installSchema(client)
      await client.query('ALTER TABLE good_jobs ALTER COLUMN scheduled_at TYPE timestamptz(6)')
      await client.query('ALTER TABLE good_jobs ALTER COLUMN performed_at TYPE timestamp')
      await client.query('ALTER TABLE good_jobs ADD COLUMN tenant_id bigint')
      await client.query('CREATE INDEX by_tenant ON good_jobs (tenant_id)')
      expect(await installSchema(client)).toEqual({ schema: 'public', installed: [], existing: TABLES })
    })
  })

  test('throws an error that says so if search_path names no existing schema', async () => {
    const client = await database.connect()
    await client.query('SET search_path TO nowhere')
    expect(await refusal(installSchema(client))).toContain('search_path names no schema that exists: nowhere')
    await client.end()
  })

  test('does not create a table schema_migrations', async () => {
    await inSchema(database, 'public', async (client) => {
      await installSchema(client)
      expect(Object.keys(await readTables(client)).sort()).toEqual([...TABLES].sort())
    })
  })
})
