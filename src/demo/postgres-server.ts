import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { giveAway, runnablePostgres, serverUser } from './postgres-binaries.ts'

/**
 * A server started by this process. The server and its folder are removed by `stop()`, and also when this process ends in any other way.
 */
export interface PostgresServer {
  /** Connection URL of its superuser, over TCP on the loopback interface. */
  readonly url: string
  /** The folder of its Unix socket; undefined when the path of the temporary folder is too long for a socket. */
  readonly socketDirectory: string | undefined
  stop(): Promise<void>
}

/**
 * A guard process that ties the server to this process. The server runs as long as our end of the guard's standard input is open, so a kill
 * -9 of this process ends the server, too. The guard has its own session: Ctrl-C reaches only this process, which stops the server after
 * its own work. $1 folder, $2 Postgres binaries
 */
const GUARD = `
  directory=$1
  bin=$2
  trap '' HUP INT TERM
  finish() {
    "$bin/pg_ctl" stop -s -D "$directory/data" -m fast -t 5 || "$bin/pg_ctl" stop -s -D "$directory/data" -m immediate
    rm -rf "$directory"
  }
  trap 'finish >/dev/null 2>&1' EXIT
  "$bin/initdb" -D "$directory/data" -U postgres --pwfile="$directory/password" -A scram-sha-256 \\
    -E UTF8 --locale=C --no-sync >"$directory/log" 2>&1 || { cat "$directory/log" >&2; exit 1; }
  cat "$directory/settings" >>"$directory/data/postgresql.conf"
  "$bin/pg_ctl" start -s -w -D "$directory/data" -l "$directory/log" </dev/null >/dev/null 2>&1 \\
    || { cat "$directory/log" >&2; exit 1; }
  echo ready
  cat >/dev/null
`

// Another program may take the free port before the server uses it.
const PORT_TRIES = 5

/**
 * Starts the Postgres in `native` (with `bin`, `lib` and `share`) on a free port. `lines` of postgresql.conf replace the default lines,
 * which make data unsafe but fast.
 */
export const startServer = async (native: string, lines: readonly string[] = CARELESS): Promise<PostgresServer> => {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnFreePort(native, lines)
    } catch (error) {
      if (attempt === PORT_TRIES || !String(error).includes('Address already in use')) throw error
    }
  }
}

const startOnFreePort = async (native: string, lines: readonly string[]): Promise<PostgresServer> => {
  const directory = await mkdtemp(join(tmpdir(), 'good-job-postgres-'))
  const port = await freePort()
  const password = randomBytes(12).toString('hex')
  const socketDirectory = isUsableForSockets(directory) ? directory : undefined
  let guard: ChildProcess
  try {
    const user = await serverUser()
    await writeFile(join(directory, 'password'), `${password}\n`)
    await writeFile(join(directory, 'settings'), settings(port, socketDirectory, lines))
    await giveAway(directory, user)
    const runnable = await runnablePostgres(native, directory, user)
    guard = spawn('/bin/sh', ['-c', GUARD, 'guard', directory, join(runnable, 'bin')], {
      ...user,
      cwd: directory,
      detached: true,
      env: cleanEnvironment(),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
  await untilReady(guard)
  const stop = async () => {
    if (guard.exitCode !== null || guard.signalCode !== null) return
    guard.ref()
    guard.stdin?.end()
    await once(guard, 'exit')
  }
  let stopping: Promise<void> | undefined
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    socketDirectory,
    stop: () => {
      stopping ??= stop()
      return stopping
    },
  }
}

const untilReady = async (guard: ChildProcess): Promise<void> => {
  let output = ''
  guard.stderr?.on('data', (chunk: Buffer) => {
    output += chunk.toString()
  })
  await new Promise<void>((resolve, reject) => {
    guard.once('error', reject)
    guard.once('close', () => reject(new Error(`Postgres did not start:\n${output}`)))
    guard.stdout?.once('data', () => resolve())
  })
  // A process that forgets to stop its server still ends, and the server ends with it.
  guard.unref()
  for (const stream of guard.stdio) (stream as Socket | null)?.unref()
}

const CARELESS = ['fsync = off', 'synchronous_commit = off', 'full_page_writes = off']

const settings = (port: number, socketDirectory: string | undefined, lines: readonly string[]): string =>
  [
    `port = ${port}`,
    `listen_addresses = '127.0.0.1'`,
    `unix_socket_directories = '${socketDirectory ?? ''}'`,
    'max_connections = 200',
    ...lines,
    '',
  ].join('\n')

/** The kernel allows 107 bytes for the path of a socket, and Postgres reads the setting as a list. */
const isUsableForSockets = (directory: string): boolean => directory.length < 80 && /^[\w/.-]+$/.test(directory)

/** The environment without PGPORT, PGDATA and the like, which are meant for other servers, and with messages in English. */
const cleanEnvironment = (): NodeJS.ProcessEnv => {
  const own = Object.entries(process.env).filter(([name]) => !/^(PG|LC_|LANG)/.test(name))
  return { ...Object.fromEntries(own), LC_ALL: 'C' }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}
