import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Client } from 'pg'
import { RAILS, rubyEnvironment, setUp } from '../compat/rails-app.ts'
import { readUsage, type Usage, type WorkerProcess } from './child.ts'
import { sharedNow } from './workers/spec.ts'

const LOOK_MS = 100

/** $1 class */
const PROGRESS = `
SELECT count(finished_at)::int AS count, extract(epoch FROM min(performed_at) AT TIME ZONE 'UTC')::float8 * 1000 AS first_at
FROM good_jobs WHERE performed_at IS NOT NULL AND job_class = $1`

/** `bundle exec good_job start` of the Rails application in compat/, logging warnings only. Its rows show its progress. */
export class RubyWorker implements WorkerProcess {
  readonly #client: Client
  readonly #databaseUrl: string
  readonly #options: Readonly<Record<string, unknown>>
  #process: ChildProcess | undefined
  #timer: NodeJS.Timeout | undefined
  #count = 0
  #firstAt = Number.POSITIVE_INFINITY
  #at = 0

  private constructor(databaseUrl: string, options: Readonly<Record<string, unknown>>) {
    this.#databaseUrl = databaseUrl
    this.#options = options
    this.#client = new Client({ connectionString: databaseUrl })
  }

  /** Installs the gems where they are missing. Rails itself boots with `start`: its time does not count in any case. */
  static async boot(databaseUrl: string, options: Readonly<Record<string, unknown>>): Promise<RubyWorker> {
    await setUp(rubyEnvironment('4.23.1', databaseUrl))
    const worker = new RubyWorker(databaseUrl, options)
    await worker.#client.connect()
    return worker
  }

  /** The rows are watched from the first call on: the statements of an idle worker are counted, and these queries would be among them. */
  get count(): number {
    this.#timer ??= setInterval(() => void this.#look().catch(() => {}), LOOK_MS)
    return this.#count
  }

  get firstAt(): number {
    return this.#firstAt
  }

  get at(): number {
    return this.#at
  }

  async usage(): Promise<Usage> {
    return this.#process?.pid === undefined ? { cpuSeconds: 0, rssMb: 0 } : readUsage(this.#process.pid)
  }

  async start(): Promise<void> {
    this.#process = spawn('ruby', ['bin/good_job', 'start'], {
      cwd: RAILS,
      env: {
        ...rubyEnvironment('4.23.1', this.#databaseUrl),
        COMPAT_ENDS_WITH_STDIN: '1',
        COMPAT_LOG_LEVEL: 'warn',
        COMPAT_WITHOUT_PAUSES: '1',
        GOOD_JOB_LOCK_STRATEGY: String(this.#options.lockStrategy),
        GOOD_JOB_THREADS: String(this.#options.threads),
        GOOD_JOB_QUEUES: '*',
        ...(this.#options.rule === undefined ? {} : { BENCH_RULE: JSON.stringify(this.#options.rule) }),
      },
      stdio: ['pipe', 'ignore', 'inherit'],
    })
  }

  async stop(): Promise<readonly number[]> {
    clearInterval(this.#timer)
    await this.#client.end()
    if (this.#process !== undefined && this.#process.exitCode === null) {
      this.#process.kill('SIGTERM')
      await once(this.#process, 'exit')
    }
    return []
  }

  kill(): void {
    clearInterval(this.#timer)
    this.#process?.kill('SIGKILL')
    void this.#client.end()
  }

  async #look(): Promise<void> {
    const { rows } = await this.#client.query<{ count: number; first_at: number | null }>(PROGRESS, ['NoopJob'])
    const [row] = rows
    if (row === undefined || row.first_at === null) return
    this.#count = row.count
    this.#at = sharedNow()
    this.#firstAt = Math.min(this.#firstAt, row.first_at + sharedNow() - Date.now())
  }
}
