import { randomUUID } from 'node:crypto'
import pg, { type Pool } from 'pg'
import { type EventMap, type EventName, events } from '../../src/events.ts'
import { Job, type JobConstructor } from '../../src/job/base.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { Capsule, type CapsuleOptions } from '../../src/worker/capsule.ts'
import { createDatabase, type TestDatabase } from './postgres.ts'

/** A row of good_jobs or good_job_executions, as pg reads it. */
export type Row = Readonly<Record<string, unknown>>

/** A database with an adapter for `Job` and functions to read rows. */
export interface World {
  readonly database: TestDatabase
  readonly url: string
  readonly pool: Pool
  readonly adapter: Adapter
  /** Rows of one statement. */
  sql<R = Row>(text: string, values?: unknown[]): Promise<R[]>
  /** The row of a job; throws when it is gone. */
  job(id: string): Promise<Row>
  /** The executions of a job, oldest first. */
  executions(id: string): Promise<Row[]>
  /** Inserts a row of good_jobs as another program might; returns its id. */
  insert(columns?: Row): Promise<string>
  /** A running worker; `await using` shuts it down. */
  start(options: Partial<CapsuleOptions> & Pick<CapsuleOptions, 'jobs'>): Promise<Capsule>
  /** Ends everything; fails when a connection or an advisory lock was left behind. */
  close(): Promise<void>
}

/** Parameters as Active Job writes them, for rows that a test inserts itself. */
export const paramsOf = (jobClass: string, id: string, more: Row = {}): Row => ({
  job_class: jobClass,
  job_id: id,
  provider_job_id: null,
  queue_name: 'default',
  priority: null,
  arguments: [],
  executions: 0,
  exception_executions: {},
  locale: 'en',
  timezone: 'UTC',
  enqueued_at: '2026-01-31T12:00:00.000000000Z',
  scheduled_at: null,
  ...more,
})

const TIMESTAMP = 1114

/** Columns without a zone hold UTC, whatever the zone of the machine. */
const UTC_TYPES: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === TIMESTAMP
      ? (text: string) => (text.includes('infinity') ? text : new Date(`${text.replace(' ', 'T')}Z`))
      : pg.types.getTypeParser(oid, format as 'text'),
} as pg.CustomTypesConfig

/** A database of one test file, unless another one is given, and `Job.queueAdapter` set to it. */
export const openWorld = async (given?: TestDatabase): Promise<World> => {
  const database = given ?? (await createDatabase())
  const { url } = database
  const pool = database.pool({ max: 4, types: UTC_TYPES })
  const adapter = new Adapter({ databaseUrl: url })
  Job.queueAdapter = adapter
  const sql = async <R = Row>(text: string, values: unknown[] = []): Promise<R[]> =>
    (await pool.query(text, values)).rows as R[]
  return {
    database,
    url,
    pool,
    adapter,
    sql,
    job: async (id) => {
      const [row] = await sql('SELECT * FROM good_jobs WHERE id = $1', [id])
      if (row === undefined) throw new Error(`there is no job ${id}`)
      return row
    },
    executions: (id) => sql('SELECT * FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at', [id]),
    insert: (columns = {}) => insertRow(sql, columns),
    start: async (options) => {
      const capsule = new Capsule({ databaseUrl: url, batchSweepInterval: 0, ...options })
      await capsule.start()
      return capsule
    },
    close: async () => {
      await adapter.close()
      await database.drop()
    },
  }
}

const insertRow = async (sql: World['sql'], columns: Row): Promise<string> => {
  const id = (columns.id as string | undefined) ?? randomUUID()
  const jobClass = (columns.job_class as string | undefined) ?? 'EchoJob'
  const row: Row = {
    id,
    active_job_id: id,
    job_class: jobClass,
    queue_name: 'default',
    priority: 0,
    serialized_params: JSON.stringify(paramsOf(jobClass, id)),
    scheduled_at: ago(1),
    created_at: ago(1),
    updated_at: ago(1),
    ...columns,
  }
  const names = Object.keys(row)
  await sql(
    `INSERT INTO good_jobs (${names.join(', ')}) VALUES (${names.map((_, index) => `$${index + 1}`).join(', ')})`,
    Object.values(row),
  )
  unawaited.add(id)
  return id
}

/** Inserts this number of due jobs with one statement. */
export const insertEchoJobs = ({ sql }: World, jobs: number): Promise<Row[]> =>
  sql(
    `INSERT INTO good_jobs (job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT 'EchoJob', 'default', 0, '{"job_class":"EchoJob","arguments":[],"executions":0}', now() - interval '1 day', now(), now()
     FROM generate_series(1, $1::int)`,
    [jobs],
  )

/** The time `seconds` ago as UTC text, for a timestamp column. */
export const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString()

/** Resolves with the payloads of the next `count` events for which `matches` holds; listening begins at the call. */
export const next = <N extends EventName>(
  name: N,
  count = 1,
  matches: (payload: EventMap[N]) => boolean = () => true,
): Promise<EventMap[N][]> =>
  new Promise((resolve) => {
    const seen: EventMap[N][] = []
    const listener = (payload: EventMap[N]) => {
      if (!matches(payload)) return
      if (name === 'perform_job') unawaited.delete((payload as EventMap['perform_job']).jobId)
      seen.push(payload)
      if (seen.length < count) return
      events.off(name, listener)
      resolve(seen)
    }
    events.on(name, listener)
  })

/** Jobs that `enqueue` or `insert` made and whose end no test has awaited. */
const unawaited = new Set<string>()
/** The first ends of attempts that no test has awaited, by job. */
const unheard = new Map<string, EventMap['perform_job']>()
events.on('perform_job', (payload) => {
  if (!unheard.has(payload.jobId)) unheard.set(payload.jobId, payload)
})

/**
 * Resolves with the next end of an attempt of each of these jobs, in the order in which they ended. On a busy machine a job may end
 * before the test that made it goes on: an end that no test has awaited yet resolves the promise at once.
 */
export const performed = async (...ids: string[]): Promise<EventMap['perform_job'][]> => {
  const missing = new Set(ids)
  const early = [...unheard.values()].filter(({ jobId }) => unawaited.has(jobId) && missing.delete(jobId))
  for (const id of ids) unawaited.delete(id)
  const late = missing.size === 0 ? [] : await next('perform_job', missing.size, ({ jobId }) => missing.delete(jobId))
  return [...early, ...late]
}

/** Records every payload of an event until `stop()`. */
export const record = <N extends EventName>(name: N): { readonly seen: EventMap[N][]; stop(): void } => {
  const seen: EventMap[N][] = []
  const listener = (payload: EventMap[N]) => void seen.push(payload)
  events.on(name, listener)
  return { seen, stop: () => void events.off(name, listener) }
}

/** A gate inside `perform`: the test awaits a job's arrival there, and opens the gate. */
export class Gate {
  readonly #opened = resolvable<void>()
  readonly #entered = resolvable<Job>()

  /** Resolves when a job waits at the gate. */
  get entered(): Promise<Job> {
    return this.#entered.promise
  }

  open(): void {
    this.#opened.resolve()
  }

  async pass(job: Job): Promise<void> {
    this.#entered.resolve(job)
    await this.#opened.promise
  }
}

const resolvable = <T>(): { readonly promise: Promise<T>; resolve(value: T): void } => {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>((set) => {
    resolve = set
  })
  return { promise, resolve: (value) => resolve(value) }
}

/** Waits until a condition on the database holds, for changes without an event. Fails after `timeoutMs`. @default 30000 */
export const until = async (holds: () => Promise<boolean>, what: string, timeoutMs = 30_000): Promise<void> => {
  const deadline = performance.now() + timeoutMs
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`still not: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A job class made for one test: `perform` is the function given. */
export const jobClass = (
  name: string,
  perform: (job: Job, ...args: never[]) => unknown,
  declare: (made: JobConstructor) => void = () => {},
): JobConstructor => {
  const made = class extends Job {
    static override jobClass = name
    perform(...args: never[]) {
      return perform(this, ...args)
    }
  }
  declare(made)
  return made
}

/** Enqueues one job of a class made by `jobClass`; returns its id. */
export const enqueue = async (
  made: JobConstructor,
  options: Parameters<Job['set']>[0] = {},
  ...args: unknown[]
): Promise<string> => {
  const job = await made.set(options).performLater(...(args as never[]))
  if (job === false) throw new Error('not enqueued')
  unawaited.add(job.jobId)
  return job.jobId
}
