import type { Client } from 'pg'
import { afterAll, describe, expect, test } from 'vitest'
import { SchemaError } from '../../src/errors.ts'
import { checkSchema, installSchema, printSchema, probeCapabilities } from '../../src/sql/schema.ts'
import { GOOD_JOB_TABLES, LATER_COLUMNS } from '../../src/sql/schema-tables.ts'
import { createDatabase } from '../support/postgres.ts'
import { installVectorSchema, readTables, readVectorTables, SCHEMA_VERSIONS } from '../support/vector-schema.ts'

const database = await createDatabase({ template: 'empty' })
afterAll(() => database.drop())

/** A connection in a schema of its own, all of it undone at the end of the test. */
const inSchema = async (schema: string, work: (client: Client) => Promise<void>): Promise<void> => {
  const client = await database.connect()
  await client.query('BEGIN')
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
  await client.query(`SET LOCAL search_path TO ${schema}`)
  try {
    await work(client)
  } finally {
    await client.query('ROLLBACK')
    await client.end()
  }
}

const refusal = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SchemaError)
  return (error as SchemaError).message
}

const TABLES = Object.keys(GOOD_JOB_TABLES)

describe('schema.sql', () => {
  test('makes exactly the tables of the install migration of GoodJob 4.23.1', async () => {
    await inSchema('public', async (client) => {
      await client.query(printSchema())
      expect(await readTables(client)).toEqual(readVectorTables('4.23.1'))
    })
  })

  test('changes nothing when it runs again, not even by another name for an index', async () => {
    await inSchema('public', async (client) => {
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

describe('installSchema', () => {
  test('creates all tables in an empty schema and nothing when it runs again', async () => {
    await inSchema('public', async (client) => {
      expect(await installSchema(client)).toEqual({ installed: TABLES, existing: [] })
      expect(await installSchema(client)).toEqual({ installed: [], existing: TABLES })
      expect(await readTables(client)).toEqual(readVectorTables('4.23.1'))
    })
  })

  test('works in the schema that search_path names first, also when its name needs quotes', async () => {
    await inSchema('"Jobs of $ours"', async (client) => {
      await installSchema(client)
      expect(await installSchema(client)).toEqual({ installed: [], existing: TABLES })
      expect((await probeCapabilities(client)).schema).toBe('Jobs of $ours')
      expect((await checkSchema(client)).isCurrent).toBe(true)
    })
  })

  test('accepts tables that search_path finds in a later schema', async () => {
    await inSchema('public', async (client) => {
      await installSchema(client)
      await client.query('CREATE SCHEMA app')
      await client.query('SET LOCAL search_path TO app, public')
      expect(await installSchema(client)).toEqual({ installed: [], existing: TABLES })
      expect((await probeCapabilities(client)).schema).toBe('public')
    })
  })

  test('of two at the same time creates the tables once', async () => {
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
      await inSchema('public', async (client) => {
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

  test('refuses tables of unknown origin that lack a column, and tells which', async () => {
    await inSchema('public', async (client) => {
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
    await inSchema('public', async (client) => {
      await installSchema(client)
      await client.query('ALTER TABLE good_job_executions ALTER COLUMN process_id TYPE text')
      await client.query('DROP INDEX index_good_jobs_on_job_class')
      await client.query('CREATE UNIQUE INDEX index_good_jobs_on_job_class ON good_jobs (job_class)')
      const text = await refusal(installSchema(client))
      expect(text).toContain('good_job_executions.process_id is text, not uuid')
      expect(text).toContain('index_good_jobs_on_job_class is UNIQUE btree (job_class), not btree (job_class)')
    })
  })

  test('accepts what Rails applications may choose: timestamptz, no precision, more columns and indexes', async () => {
    await inSchema('public', async (client) => {
      await installSchema(client)
      await client.query('ALTER TABLE good_jobs ALTER COLUMN scheduled_at TYPE timestamptz(6)')
      await client.query('ALTER TABLE good_jobs ALTER COLUMN performed_at TYPE timestamp')
      await client.query('ALTER TABLE good_jobs ADD COLUMN tenant_id bigint')
      await client.query('CREATE INDEX by_tenant ON good_jobs (tenant_id)')
      expect(await installSchema(client)).toEqual({ installed: [], existing: TABLES })
    })
  })

  test('tells when search_path names no schema that exists', async () => {
    const client = await database.connect()
    await client.query('SET search_path TO nowhere')
    expect(await refusal(installSchema(client))).toContain('search_path names no schema that exists: nowhere')
    await client.end()
  })

  test('makes no table schema_migrations', async () => {
    await inSchema('public', async (client) => {
      await installSchema(client)
      expect(Object.keys(await readTables(client)).sort()).toEqual([...TABLES].sort())
    })
  })
})

describe('probeCapabilities', () => {
  test.each([
    ['4.0.0', false, false, false, false],
    ['4.9.3', false, true, false, false],
    ['4.14.2', false, true, false, false],
    ['4.19.2', true, true, false, false],
    ['4.20.0', true, true, false, true],
    ['4.23.1', true, true, true, true],
  ] as const)(
    'knows what the tables of GoodJob %s offer [GJ-001]',
    async (version, hasLockType, hasJobsFinishedAt, hasConcurrencyClaims, hasQueueDequeueIndex) => {
      await inSchema('public', async (client) => {
        await installVectorSchema(client, version)
        expect(await probeCapabilities(client)).toEqual({
          hasLockType,
          hasJobsFinishedAt,
          hasConcurrencyClaims,
          hasQueueDequeueIndex,
          schema: 'public',
        })
      })
    },
  )

  test('works with the tables and columns of the first migration alone [GJ-001]', async () => {
    await inSchema('public', async (client) => {
      await installVectorSchema(client, '4.0.0')
      for (const index of await nonPrimaryIndexes(client)) await client.query(`DROP INDEX ${index}`)
      expect((await probeCapabilities(client)).hasLockType).toBe(false)
    })
  })

  test('names each column of the first migration that is missing [GJ-004]', async () => {
    await inSchema('public', async (client) => {
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
    await inSchema('public', async (client) => {
      await installVectorSchema(client, '4.19.2')
      await client.query('DROP TABLE good_job_settings')
      await client.query('ALTER TABLE good_jobs DROP COLUMN labels, DROP COLUMN locked_by_id, DROP COLUMN lock_type')
      const text = await refusal(probeCapabilities(client))
      expect(text).toContain('the table good_job_settings, good_jobs.labels, good_jobs.locked_by_id,')
      expect(text).not.toContain('lock_type')
    })
  })

  test('tells how to install the tables when there are none', async () => {
    await inSchema('public', async (client) => {
      const text = await refusal(probeCapabilities(client))
      expect(text).toContain('has no GoodJob tables (search_path: public)')
      expect(text).toContain('good-job schema install')
      expect(text).toContain('bin/rails g good_job:install')
    })
  })
})

describe('checkSchema', () => {
  test.each([
    ['4.0.0', '4.0.0'],
    ['4.9.3', '4.9.1'],
    ['4.14.2', '4.13.1'],
    ['4.19.2', '4.18.2'],
    ['4.20.0', '4.20.0'],
    ['4.23.1', '4.23.0'],
  ] as const)('sees in the tables of GoodJob %s at least GoodJob %s', async (version, atLeast) => {
    await inSchema('public', async (client) => {
      await installVectorSchema(client, version)
      const report = await checkSchema(client)
      expect(report.goodJobVersion).toBe(atLeast)
      expect(report.isCurrent).toBe(version === '4.23.1')
      expect(report.requiredGaps).toEqual([])
      expect(report.isRails).toBe(false)
      expect(report.version3Writer).toBeUndefined()
    })
  })

  test.each([
    ['DROP TABLE good_job_concurrency_claims; DROP INDEX index_good_job_executions_on_created_at', '4.20.0'],
    [
      `DROP TABLE good_job_concurrency_claims; DROP TABLE good_job_batches; DROP INDEX
       index_good_job_executions_on_created_at, index_good_job_executions_on_scheduled_at, index_good_jobs_dequeue_by_queue,
       index_good_jobs_dequeue_by_queue_scheduled_at, index_good_jobs_on_batch_id_unfinished,
       index_good_jobs_on_batch_callback_id_unfinished, index_good_jobs_on_cron_key_and_cron_at_cond`,
      '4.19.3',
    ],
  ])('takes the newest thing that is there for the lower bound (%#)', async (statements, atLeast) => {
    await inSchema('public', async (client) => {
      await installVectorSchema(client, '4.23.1')
      await client.query(statements)
      expect((await checkSchema(client)).goodJobVersion).toBe(atLeast)
    })
  })

  test('lists what GoodJob 4.23.1 has and older tables have not', async () => {
    await inSchema('public', async (client) => {
      await installVectorSchema(client, '4.0.0')
      const report = await checkSchema(client)
      expect(report.missingTables).toEqual(['good_job_concurrency_claims'])
      expect([...report.missingColumns].sort()).toEqual(Object.keys(LATER_COLUMNS).sort())
      const expected = Object.entries(readVectorTables('4.23.1'))
        .filter(([table]) => table !== 'good_job_concurrency_claims')
        .flatMap(([, table]) => Object.keys(table.indexes))
      const present = Object.values(readVectorTables('4.0.0')).flatMap((table) => Object.keys(table.indexes))
      expect([...report.missingIndexes].sort()).toEqual(expected.filter((name) => !present.includes(name)).sort())
      expect(report.changed).toHaveLength(1)
      expect(report.changed[0]).toContain(
        'index_good_jobs_on_cron_key_and_cron_at_cond is UNIQUE btree (cron_key, cron_at)',
      )
    })
  })

  test('reports an empty database without failing', async () => {
    await inSchema('public', async (client) => {
      const report = await checkSchema(client)
      expect(report.goodJobVersion).toBeUndefined()
      expect(report.capabilities).toBeUndefined()
      expect(report.missingTables).toEqual(TABLES)
    })
  })

  test('sees that a Rails application owns the database', async () => {
    await inSchema('public', async (client) => {
      await client.query('CREATE TABLE schema_migrations (version text PRIMARY KEY)')
      expect((await checkSchema(client)).isRails).toBe(true)
    })
  })

  test('does not count an index whose build failed', async () => {
    const broken = await createDatabase()
    try {
      const client = await broken.connect()
      await client.query(
        `UPDATE pg_index SET indisvalid = FALSE WHERE indexrelid = 'index_good_jobs_on_labels'::regclass`,
      )
      expect((await checkSchema(client)).missingIndexes).toEqual(['index_good_jobs_on_labels'])
    } finally {
      await broken.drop()
    }
  })
})

test('the tables of the value table are those of the vectors', () => {
  const vector = readVectorTables('4.23.1')
  expect([...TABLES].sort()).toEqual(Object.keys(vector).sort())
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
