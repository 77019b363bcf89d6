import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { serverUser } from '../../src/demo/postgres-binaries.ts'
import { withDatabase } from '../../src/demo/postgres-databases.ts'
import { freePort } from '../../test/support/loopback.ts'
import { PGBOUNCER, PGBOUNCER_ENV } from './tools.js'

export interface PoolerOptions {
  /** @default 'transaction' */
  readonly mode?: 'session' | 'transaction' | 'statement'
  /** Server connections for each database and user. @default 4 */
  readonly size?: number
  /** Lends the connection that has been idle for longest, not the one given back last. @default false */
  readonly isRoundRobin?: boolean
  /** For which a client may wait for a server connection. @default 120 */
  readonly waitSeconds?: number
  /** Startup parameters that it leaves out instead of refusing them. @default none */
  readonly ignores?: string
}

/** A PgBouncer of our own in front of one database, as an unprivileged user; disposing of it ends it. */
export class PgBouncer implements AsyncDisposable {
  readonly url: string
  readonly #child: ChildProcess
  readonly #directory: string
  readonly #databaseUrl: string
  readonly #port: number

  private constructor(parts: { child: ChildProcess; directory: string; databaseUrl: string; port: number }) {
    this.#child = parts.child
    this.#directory = parts.directory
    this.#databaseUrl = parts.databaseUrl
    this.#port = parts.port
    const url = new URL(parts.databaseUrl)
    url.host = `127.0.0.1:${parts.port}`
    this.url = url.href
  }

  static async start(databaseUrl: string, options: PoolerOptions = {}): Promise<PgBouncer> {
    const port = await freePort()
    const directory = await mkdtemp(join(tmpdir(), 'good-job-pgbouncer-'))
    const user = await serverUser()
    await writeSettings(directory, databaseUrl, port, options)
    if (user.uid !== undefined) await chown(directory, user.uid, user.gid ?? user.uid)
    const child = spawn(PGBOUNCER, ['-q', join(directory, 'pgbouncer.ini')], {
      ...user,
      env: PGBOUNCER_ENV,
      stdio: 'ignore',
    })
    const failed = once(child, 'error').then(([error]) => Promise.reject(error as Error))
    const pooler = new PgBouncer({ child, directory, databaseUrl, port })
    await Promise.race([pooler.#untilItAnswers(), failed])
    return pooler
  }

  /** Takes other settings from now on, as after an edit and a reload. */
  async reload(options: PoolerOptions): Promise<void> {
    await writeSettings(this.#directory, this.#databaseUrl, this.#port, options)
    const console = new Client({ connectionString: withDatabase(this.url, 'pgbouncer') })
    await console.connect()
    await console.query('RELOAD')
    await console.end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await exited
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #untilItAnswers(): Promise<void> {
    for (;;) {
      const client = new Client({ connectionString: this.url })
      try {
        await client.connect()
        return await client.end()
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ECONNREFUSED' || this.#child.exitCode !== null) throw error
      }
    }
  }
}

const writeSettings = async (
  directory: string,
  databaseUrl: string,
  port: number,
  { mode = 'transaction', size = 4, isRoundRobin = false, waitSeconds = 120, ignores = '' }: PoolerOptions,
): Promise<void> => {
  const { hostname, port: serverPort, username, password } = new URL(databaseUrl)
  const server = [`host=${hostname}`, `port=${serverPort}`, `user=${decodeURIComponent(username)}`]
  if (password !== '') server.push(`password=${decodeURIComponent(password)}`)
  const file = join(directory, 'pgbouncer.ini')
  await writeFile(
    file,
    `[databases]
* = ${server.join(' ')}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
admin_users = ${decodeURIComponent(username)}
pool_mode = ${mode}
default_pool_size = ${size}
server_round_robin = ${isRoundRobin ? 1 : 0}
max_client_conn = 200
server_login_retry = 1
query_wait_timeout = ${waitSeconds}
ignore_startup_parameters = ${ignores}
`,
  )
  // It holds a password, and another user reads it.
  await chmod(file, 0o644)
}
