import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Client } from 'pg'
import { findEmbeddedPostgres, runnablePostgres, serverUser } from '../../src/demo/postgres-binaries.ts'
import { startServer } from '../../src/demo/postgres-server.ts'
import { type TestDatabase, testDatabase } from './postgres.ts'

export type StopMode = 'fast' | 'immediate'

/** A Postgres of one test file, to be stopped and started. */
export interface OwnServer {
  /** It has GoodJob's tables; `drop()` stops the server for good. */
  readonly database: TestDatabase
  stopServer(mode: StopMode): Promise<void>
  startServer(): Promise<void>
}

/** Starts the embedded Postgres, with commits that survive a crash of the server. */
export const startOwnServer = async (): Promise<OwnServer> => {
  const native = findEmbeddedPostgres()
  const server = await startServer(native)
  const client = new Client({ connectionString: server.url })
  await client.connect()
  await client.query('ALTER SYSTEM SET synchronous_commit = on')
  await client.query('SELECT pg_reload_conf()')
  await client.query(await readFile(new URL('../../schema.sql', import.meta.url), 'utf8'))
  const { rows } = await client.query<{ data_directory: string }>('SHOW data_directory')
  await client.end()
  const data = rows[0]?.data_directory ?? ''
  const directory = dirname(data)
  const user = await serverUser()
  const bin = join(await runnablePostgres(native, directory, user), 'bin')
  const control = async (...args: string[]): Promise<void> => {
    const child = spawn(join(bin, 'pg_ctl'), [...args, '-s', '-w', '-D', data], {
      ...user,
      cwd: directory,
      stdio: 'ignore',
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`pg_ctl ${args.join(' ')} ended with ${code}`)
  }
  return {
    database: testDatabase(server.url, () => server.stop()),
    stopServer: (mode) => control('stop', '-m', mode),
    startServer: () => control('start', '-l', join(directory, 'log')),
  }
}
