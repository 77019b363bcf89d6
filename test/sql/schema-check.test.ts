import { afterAll, describe, expect, test } from 'vitest'
import { checkSchema } from '../../src/sql/schema/schema.ts'
import { GOOD_JOB_TABLES, LATER_COLUMNS } from '../../src/sql/schema/tables.ts'
import { createDatabase } from '../support/postgres.ts'
import { inSchema } from '../support/schemas.ts'
import { installVectorSchema, readVectorTables } from '../support/vector-schema.ts'

const database = await createDatabase({ template: 'empty' })
afterAll(() => database.drop())

const TABLES = Object.keys(GOOD_JOB_TABLES)

describe('checkSchema', () => {
  test.each([
    ['4.0.0', '4.0.0'],
    ['4.9.3', '4.9.1'],
    ['4.14.2', '4.13.1'],
    ['4.19.2', '4.18.2'],
    ['4.20.0', '4.20.0'],
    ['4.23.1', '4.23.0'],
  ] as const)('sees in the tables of GoodJob %s at least GoodJob %s', async (version, atLeast) => {
    await inSchema(database, 'public', async (client) => {
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
    await inSchema(database, 'public', async (client) => {
      await installVectorSchema(client, '4.23.1')
      await client.query(statements)
      expect((await checkSchema(client)).goodJobVersion).toBe(atLeast)
    })
  })

  test('lists columns and indexes of GoodJob 4.23.1 that older tables lack', async () => {
    await inSchema(database, 'public', async (client) => {
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
    await inSchema(database, 'public', async (client) => {
      const report = await checkSchema(client)
      expect(report.goodJobVersion).toBeUndefined()
      expect(report.capabilities).toBeUndefined()
      expect(report.missingTables).toEqual(TABLES)
    })
  })

  test('detects that a Rails application owns the database', async () => {
    await inSchema(database, 'public', async (client) => {
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
