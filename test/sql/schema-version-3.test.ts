import type { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { findVersion3Writer } from '../../src/sql/schema/report.ts'
import { checkSchema } from '../../src/sql/schema/schema.ts'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
afterAll(() => database.drop())

let client: Client
beforeAll(async () => {
  client = await database.connect()
  await client.query(`SET TIME ZONE 'UTC'`)
})
beforeEach(async () => {
  await client.query('TRUNCATE good_jobs')
})

const insertJob = (values: { is_discrete?: boolean; retried?: boolean; finished?: boolean; created_at?: string }) =>
  client.query(
    `INSERT INTO good_jobs (is_discrete, retried_good_job_id, finished_at, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $4)`,
    [
      values.is_discrete ?? null,
      values.retried ? '00000000-0000-4000-8000-000000000000' : null,
      values.finished ? '2026-01-02' : null,
      values.created_at ?? '2026-01-01 00:00:00',
    ],
  )

test('jobs of GoodJob 4 are not taken for jobs of GoodJob 3 [GJ-007]', async () => {
  await insertJob({})
  expect(await findVersion3Writer(client, new Date('2020-01-01'))).toBeUndefined()
})

test('an unfinished job with is_discrete false is evidence of GoodJob 3 [GJ-007]', async () => {
  await insertJob({ is_discrete: false })
  expect(await findVersion3Writer(client)).toMatch(/was written by GoodJob 3 \(is_discrete is false\)/)
  expect((await checkSchema(client)).version3Writer).toMatch(/GoodJob 3/)
})

test('an unfinished job that replaced another one is evidence of GoodJob 3 [GJ-007]', async () => {
  await insertJob({ is_discrete: true, retried: true })
  expect(await findVersion3Writer(client)).toMatch(/retried_good_job_id is set/)
})

test('finished jobs of GoodJob 3 are no evidence [GJ-007]', async () => {
  await insertJob({ is_discrete: false, finished: true })
  await insertJob({ retried: true, finished: true })
  expect(await findVersion3Writer(client, new Date('2020-01-01'))).toBeUndefined()
})

test('an unfinished job with is_discrete true is evidence if it is younger than the worker [GJ-007]', async () => {
  await insertJob({ is_discrete: true, created_at: '2026-01-01 00:00:00' })
  expect(await findVersion3Writer(client)).toBeUndefined()
  expect(await findVersion3Writer(client, new Date('2026-01-01T00:00:00Z'))).toBeUndefined()
  expect(await findVersion3Writer(client, new Date('2025-12-31T23:59:59Z'))).toMatch(/is_discrete is true/)
})
