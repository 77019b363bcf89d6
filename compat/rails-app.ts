import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { Pool } from 'pg'
import { inTurn } from '../test/support/clean-up.ts'
import { freePort } from '../test/support/loopback.ts'
import { Dashboard } from './dashboard.ts'
import { eventually } from './support/eventually.ts'
import { Program } from './support/program.ts'
import { RubyConsole } from './support/ruby-console.ts'

/** The GoodJob versions that the tests know, newest first. */
export const GOOD_JOB_VERSIONS = ['4.23.1', '4.19.2', '4.9.3', '4.0.3'] as const

export type GoodJobVersion = (typeof GOOD_JOB_VERSIONS)[number]

/** Whether a GoodJob version is this one or a later one. */
export const isAtLeast = (version: GoodJobVersion, other: string): boolean =>
  version.localeCompare(other, 'en', { numeric: true }) >= 0

/** The folder of the Rails application. */
export const RAILS = new URL('./rails', import.meta.url).pathname

/** How long Rails may take to boot on a busy machine. */
const BOOT_TIMEOUT_MS = 90_000

export interface BootOptions {
  /** @default '4.23.1' */
  readonly goodJobVersion?: GoodJobVersion
  /** An empty database, or one with `schema: 'given'`. */
  readonly databaseUrl: string
  /** 'migrations' runs the ones of the gem's own generator; 'given' takes the tables that are there. @default 'migrations' */
  readonly schema?: 'migrations' | 'given'
  /** The last step of `stop()`. */
  readonly whenStopped?: () => unknown
}

export interface WorkerOptions {
  /** A queue string. @default '-node', as the README recommends to a Rails team */
  readonly queues?: string
  /** @default 5 */
  readonly threads?: number
  /** Seconds; what has no NOTIFY, such as a rescheduled job, waits for a poll. @default 1 */
  readonly pollInterval?: number
  /** @default false */
  readonly enableCron?: boolean
  /** Seconds, or -1 to wait for ever. @default -1 */
  readonly shutdownTimeout?: number
  /** More environment, for example GOOD_JOB_LOCK_STRATEGY. */
  readonly env?: NodeJS.ProcessEnv
}

/** A `bundle exec good_job start` of our own. */
export interface RailsWorker {
  readonly pid: number
  /** Id of its row in good_job_processes. */
  readonly processId: string
  readonly program: Program
  /** SIGTERM: it finishes what it runs. */
  stop(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
}

/** The dashboard's web server. */
export interface RailsWeb {
  readonly url: string
  /** A new visitor, without cookies. */
  visit(): Dashboard
  stop(): Promise<void>
}

/** One line of compat_events. */
export interface CompatEvent {
  readonly id: number
  readonly name: string
  readonly payload: { readonly side: 'ruby' | 'node'; readonly [key: string]: unknown }
}

/**
 * The Rails application of rails/ on one GoodJob version and one database. One process stays booted and runs the snippets;
 * workers and the web server are processes of their own.
 */
export class RailsApp {
  readonly goodJobVersion: GoodJobVersion
  readonly databaseUrl: string
  /** For queries on the database. */
  readonly pool: Pool
  readonly #env: NodeJS.ProcessEnv
  readonly #programs = new Set<Program>()
  readonly #closers: (() => unknown)[] = []
  readonly #whenStopped: () => unknown
  #console: RubyConsole | undefined

  private constructor({ goodJobVersion = '4.23.1', databaseUrl, whenStopped = () => {} }: BootOptions) {
    this.goodJobVersion = goodJobVersion
    this.databaseUrl = databaseUrl
    this.pool = new Pool({ connectionString: databaseUrl })
    this.pool.on('error', () => {})
    this.#whenStopped = whenStopped
    this.#env = rubyEnvironment(goodJobVersion, databaseUrl)
  }

  /** Installs what is missing, boots, and makes the tables. Stop it with `stop()`. */
  static async boot(options: BootOptions): Promise<RailsApp> {
    const app = new RailsApp(options)
    await setUp(app.#env)
    try {
      await app.#bootConsole()
      await app.#prepareDatabase(options.schema ?? 'migrations')
      return app
    } catch (error) {
      await app.stop()
      throw error
    }
  }

  /**
   * Runs Ruby in the booted application and returns the value of its last expression, as JSON. `args` is a hash that the
   * snippet sees under that name. Throws RubyError.
   */
  async run<T = unknown>(code: string, args: Record<string, unknown> = {}): Promise<T> {
    if (this.#console === undefined) throw new Error('Rails has not booted')
    return (await this.#console.run(code, args)) as T
  }

  /** Starts a worker; resolves when it listens and its process row exists. */
  async startWorker(options: WorkerOptions = {}): Promise<RailsWorker> {
    const { queues = '-node', threads = 5, pollInterval = 1, enableCron = false, shutdownTimeout = -1 } = options
    const program = this.#start(`worker-${this.goodJobVersion}`, ['bin/good_job', 'start'], {
      ...options.env,
      COMPAT_WORKER: '1',
      GOOD_JOB_QUEUES: queues,
      GOOD_JOB_MAX_THREADS: String(threads),
      GOOD_JOB_POLL_INTERVAL: String(pollInterval),
      GOOD_JOB_ENABLE_CRON: String(enableCron),
      GOOD_JOB_SHUTDOWN_TIMEOUT: String(shutdownTimeout),
    })
    const processId = await this.#untilWorking(program)
    return { pid: program.pid, processId, program, stop: () => program.stop(), kill: () => this.#killWorker(program) }
  }

  /** Starts the dashboard on a free port of the loopback interface. */
  async startWeb(env: NodeJS.ProcessEnv = {}): Promise<RailsWeb> {
    const origin = `http://127.0.0.1:${await freePort()}`
    const program = this.#start(`web-${this.goodJobVersion}`, ['bin/web', '--bind', origin.replace('http', 'tcp')], env)
    await eventually(
      'the web server responds',
      async () => {
        if (program.hasExited) return true
        return (await fetch(`${origin}/good_job/jobs`)).ok
      },
      BOOT_TIMEOUT_MS,
    )
    if (program.hasExited) throw new Error(`The web server ended:\n${program.lastWords()}`)
    const url = `${origin}/good_job`
    return { url, visit: () => new Dashboard(url), stop: () => program.stop() }
  }

  /** What happened, oldest first; of one name, and with these values in the payload. */
  async events(name: string, payload: Record<string, unknown> = {}): Promise<CompatEvent[]> {
    const { rows } = await this.pool.query<CompatEvent>(
      'SELECT id::integer, name, payload FROM compat_events WHERE name = $1 AND payload @> $2 ORDER BY id',
      [name, payload],
    )
    return rows
  }

  /** The next `times` runs of the MemberJob of this name fail, whichever language runs them. */
  async letFail(name: string, times = 1): Promise<void> {
    await this.pool.query(
      `INSERT INTO compat_failures (name, remaining) VALUES ($1, $2)
       ON CONFLICT (name) DO UPDATE SET remaining = excluded.remaining`,
      [name, times],
    )
  }

  /** Stops every process of this application; with a long-running job left, by SIGKILL. */
  async stop(): Promise<void> {
    await inTurn(
      ...this.#closers.splice(0),
      () => Promise.all([...this.#programs].map((program) => program.kill())),
      () => this.pool.end(),
      this.#whenStopped,
    )()
  }

  /** Closes something with this application, before its processes are stopped. */
  closeFirst(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Ends a process, of whatever kind, with this application. */
  adopt(program: Program): Program {
    this.#programs.add(program)
    void program.exited.then(() => this.#programs.delete(program))
    return program
  }

  #start(name: string, args: readonly string[], env: NodeJS.ProcessEnv = {}, pipesOutput = false): Program {
    const program = new Program({
      name,
      command: 'ruby',
      args,
      cwd: RAILS,
      env: { ...this.#env, COMPAT_ENDS_WITH_STDIN: '1', ...env },
      pipesOutput,
    })
    return this.adopt(program)
  }

  async #bootConsole(): Promise<void> {
    const env = { COMPAT_ENDS_WITH_STDIN: undefined } // Its standard input carries the snippets.
    this.#console = await RubyConsole.boot(this.#start(`console-${this.goodJobVersion}`, ['bin/snippets'], env, true))
  }

  async #prepareDatabase(schema: 'migrations' | 'given'): Promise<void> {
    const paths =
      schema === 'given' ? `[Rails.root.join('db/compat').to_s]` : `Rails.application.paths['db/migrate'].to_a`
    await this.run(`ActiveRecord::MigrationContext.new(${paths}).migrate`)
    await this.pool.query(NOTICE_DEAD_CLIENTS)
  }

  /** Records that in compat_events: no test waits for further work of this worker. */
  async #killWorker(program: Program): Promise<void> {
    await program.kill()
    await this.pool.query(`INSERT INTO compat_events (name, payload) VALUES ('worker_killed', $1)`, [
      { pid: program.pid },
    ])
  }

  async #untilWorking(program: Program): Promise<string> {
    const { pid } = program
    const found = await eventually(
      `worker ${pid} listens and has its row`,
      async () => {
        if (program.hasExited) return { id: '' }
        if ((await this.events('worker_listening', { pid })).length === 0) return undefined
        const { rows } = await this.pool.query<{ id: string }>(SELECT_PROCESS, [pid])
        return rows[0]
      },
      BOOT_TIMEOUT_MS,
    )
    if (program.hasExited) throw new Error(`The worker ended:\n${program.lastWords()}`)
    return found.id
  }
}

/** $1 pid */
const SELECT_PROCESS = `
  SELECT id FROM good_job_processes
  WHERE (state->>'pid')::integer = $1
  ORDER BY created_at DESC LIMIT 1`

/**
 * Lets a backend whose client was killed notice it while it waits for a lock, as it would at once when it runs something; for
 * connections made from now on. Postgres 14 and later have the setting.
 */
const NOTICE_DEAD_CLIENTS = `
  DO $$
  BEGIN
    IF current_setting('server_version_num')::integer >= 140000 THEN
      EXECUTE format('ALTER DATABASE %I SET client_connection_check_interval = ''50ms''', current_database());
    END IF;
  END
  $$`

/** Gems and the generator's migration, once per version and machine. */
export const setUp = async (env: NodeJS.ProcessEnv): Promise<void> => {
  await promisify(execFile)('ruby', ['bin/setup'], { cwd: RAILS, env, maxBuffer: 2 ** 26 })
}

/** The environment without the shell's variables for other Ruby programs or another GoodJob. */
export const rubyEnvironment = (goodJobVersion: GoodJobVersion, databaseUrl: string): NodeJS.ProcessEnv => {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(BUNDLE_GEMFILE|RUBYOPT|RAILS_|GOOD_JOB_|PG)/.test(name),
  )
  return { ...Object.fromEntries(own), GOOD_JOB_VERSION: goodJobVersion, DATABASE_URL: databaseUrl }
}
