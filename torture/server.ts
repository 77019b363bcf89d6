import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findEmbeddedPostgres, serverUser } from '../src/demo/postgres-binaries.ts'
import { createDatabase } from '../src/demo/postgres-databases.ts'
import { type PostgresServer, startServer } from '../src/demo/postgres-server.ts'

const run = promisify(execFile)

/** How a server goes down: 'fast' ends every session first, 'immediate' is a crash of all its processes. */
export type RestartMode = 'fast' | 'immediate'

/** A Postgres of our own that can be restarted under its clients. */
export interface RestartableServer {
  /** A new database of it. */
  readonly databaseUrl: string
  restart(mode: RestartMode): Promise<void>
  stop(): Promise<void>
}

/** Starts a server of our own, with a new empty database. @throws Error where its folder cannot be known */
export const startRestartableServer = async (): Promise<RestartableServer> => {
  const server = await startServer(findEmbeddedPostgres(), KEEPS_COMMITS)
  const databaseUrl = await createDatabase(server.url, { prefix: 'good_job_fleet' })
  return { databaseUrl, restart: (mode) => restart(server, mode), stop: () => server.stop() }
}

/** What was committed survives a crash of all processes, with the time of it; nothing here survives a crash of the machine. */
const KEEPS_COMMITS = [
  'synchronous_commit = on',
  'track_commit_timestamp = on',
  'fsync = off',
  'full_page_writes = off',
]

const restart = async ({ socketDirectory: directory }: PostgresServer, mode: RestartMode): Promise<void> => {
  if (directory === undefined) throw new Error('the temporary folder has too long a path to restart a server in it')
  const copy = join(directory, 'native')
  const bin = join(existsSync(copy) ? copy : findEmbeddedPostgres(), 'bin/pg_ctl')
  const args = ['restart', '-s', '-w', '-D', join(directory, 'data'), '-m', mode, '-l', join(directory, 'log')]
  await run(bin, args, { ...(await serverUser()), cwd: directory, env: { ...process.env, LC_ALL: 'C' } })
}
