import { expect, test } from 'vitest'
import { createDatabase, type TestDatabase } from '../test/support/postgres.ts'
import { readTables, readVectorTables, type SchemaVersion } from '../test/support/vector-schema.ts'
import { type GoodJobVersion, RailsApp } from './rails-app.ts'
import { describeWithRuby } from './support/ruby.ts'

/** Beside each version the one whose tables are recorded; nothing changed between 4.0.0 and 4.0.3. */
const RECORDED: readonly (readonly [GoodJobVersion, SchemaVersion])[] = [
  ['4.23.1', '4.23.1'],
  ['4.19.2', '4.19.2'],
  ['4.9.3', '4.9.3'],
  ['4.0.3', '4.0.0'],
]

/** GoodJob's tables, without Rails' own and those of the application. */
const goodJobTables = async (database: TestDatabase) => {
  const tables = await readTables(await database.connect())
  return Object.fromEntries(Object.entries(tables).filter(([name]) => name.startsWith('good_job')))
}

/** What the install migration of the gem's own generator makes of an empty database. */
const migratedTables = async (goodJobVersion: GoodJobVersion) => {
  const database = await createDatabase({ template: 'empty' })
  const app = await RailsApp.boot({ goodJobVersion, databaseUrl: database.url })
  const tables = await goodJobTables(database)
  await app.stop()
  await database.drop()
  return tables
}

describeWithRuby('the tables of the install migration', () => {
  test.each(RECORDED)('of GoodJob %s are the same as in the vector for %s', async (version, recorded) => {
    expect(await migratedTables(version)).toEqual(readVectorTables(recorded))
  })

  test('of GoodJob 4.23.1 are the same as in schema.sql', async () => {
    const database = await createDatabase()
    expect(await goodJobTables(database)).toEqual(await migratedTables('4.23.1'))
    await database.drop()
  })

  test('of schema.sql are accepted as complete by GoodJob 4.23.1', async () => {
    const database = await createDatabase()
    const app = await RailsApp.boot({ databaseUrl: database.url, schema: 'given' })
    expect(await app.run('GoodJob.migrated?')).toBe(true)
    await app.stop()
    await database.drop()
  })
})
