import { afterAll, expect, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'

const database = await createDatabase()
afterAll(() => database.drop())

test('a test file has a database of its own with the GoodJob tables', async () => {
  const { rows } = await database.pool().query('SELECT count(*)::integer AS count FROM good_jobs')
  expect(rows).toEqual([{ count: 0 }])
})
