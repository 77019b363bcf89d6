import { randomUUID } from 'node:crypto'
import { ago, paramsOf, type World } from '../support/harness.ts'
import { vectors } from '../support/vectors.ts'

interface VectorJob {
  readonly id: string
  readonly job_class: string
  readonly queue: string
  readonly concurrency_key: string | null
  readonly labels: readonly string[] | null
  readonly scheduled_in_s: number
  readonly created_ago_s: number
  readonly performed: boolean
  readonly finished: boolean
  readonly error: string | null
  readonly error_event: number | null
  readonly executions_count: number | null
  readonly locked_by: string | null
  readonly batch: boolean
  readonly executions: number
  readonly exception_executions: Readonly<Record<string, number>>
}

interface VectorClaim {
  readonly job: string
  readonly key: string
  readonly state: number
  readonly locked_by: string | null
  readonly created_ago_s: number
}

interface VectorExecution {
  readonly job: string
  readonly error: string | null
  readonly error_event: number | null
  readonly finished: boolean
  readonly process: string | null
}

/** Rows as the vectors write them. */
export interface VectorRows {
  readonly jobs: readonly VectorJob[]
  readonly claims: readonly VectorClaim[] | 'absent'
  readonly executions: readonly VectorExecution[]
}

export interface VectorRule {
  readonly label?: string | number
  readonly apply_label?: boolean
  readonly total_limit?: number | 'callable'
  readonly perform_limit?: number | 'callable'
  readonly perform_throttle?: readonly [count: number, seconds: number]
}

export interface Scenario {
  readonly id: string
  readonly name: string
  readonly rules?: {
    readonly labels?: readonly string[]
    readonly legacy?: VectorRule & { readonly key: string }
    readonly rules?: readonly VectorRule[]
  }
  readonly before: VectorRows
  readonly after: VectorRows
  /** What `perform` said; empty if it was not called. */
  readonly ran: readonly unknown[]
}

/** The scenarios in which a job is performed: P with the table of claims, N without it. */
export const PERFORM_SCENARIOS: readonly Scenario[] = vectors<{ readonly scenarios: readonly Scenario[] }>(
  'concurrency.json',
)
  .scenarios.filter(({ id }) => /^[PN]/.test(id))
  .map((scenario) => JSON.parse(JSON.stringify(scenario).replaceAll('"new2"', '"me"')))
  .map((scenario) => eachSide(scenario, countExecutions))

const isStartedWithoutOwner = ({ job_class, performed, finished, locked_by }: VectorJob): boolean =>
  job_class === 'OtherJob' && performed && !finished && locked_by === null

/** Whether the scenario has started jobs of others that no process holds. */
export const hasOwnerless = ({ before }: Scenario): boolean => before.jobs.some(isStartedWithoutOwner)

/** The scenario with another process that holds these jobs. */
export const withOwners = (scenario: Scenario): Scenario =>
  eachSide(scenario, ({ jobs, ...rows }) => ({
    ...rows,
    jobs: jobs.map((job) => (isStartedWithoutOwner(job) ? { ...job, locked_by: 'other' } : job)),
  }))

function eachSide(scenario: Scenario, change: (rows: VectorRows) => VectorRows): Scenario {
  return { ...scenario, before: change(scenario.before), after: change(scenario.after) }
}

/** Attempts of other jobs were inserted without the count that every worker keeps in the job. */
function countExecutions({ jobs, ...rows }: VectorRows): VectorRows {
  const count = (job: VectorJob) => rows.executions.filter((execution) => execution.job === job.id).length || null
  return {
    ...rows,
    jobs: jobs.map((job) => (job.job_class === 'OtherJob' ? { ...job, executions_count: count(job) } : job)),
  }
}

/** Seconds by which times of two snapshots may differ. */
const TOLERANCE_S = 20

/** The rows of a scenario in a database, under the names that the scenario gives them. */
export class ScenarioRows {
  readonly #world: World
  readonly #ids = new Map<string, string>()
  readonly #processes = new Map<string, string>()
  readonly #batchId = randomUUID()

  constructor(world: World) {
    this.#world = world
  }

  /** The id of the row that the scenario names so. */
  id(alias: string): string {
    const id = this.#ids.get(alias) ?? randomUUID()
    this.#ids.set(alias, id)
    return id
  }

  /** Names a process as the scenario does. */
  name(processId: string, alias: string): void {
    this.#processes.set(processId, alias)
  }

  /** Inserts the rows from before the action. \`args\`: of the job under test. */
  async insert({ before }: Scenario, args: readonly unknown[]): Promise<void> {
    if (before.claims === 'absent') await this.#world.sql('DROP TABLE good_job_concurrency_claims')
    if (before.jobs.some(({ batch }) => batch)) await this.#world.sql(INSERT_BATCH, [this.#batchId])
    for (const job of before.jobs) await this.#insertJob(job, args)
    for (const each of before.claims === 'absent' ? [] : before.claims) await this.#insertClaim(each)
    for (const each of before.executions) await this.#insertExecution(each, before)
  }

  /** The rows as they are now, without the times and texts that no two runs share. */
  async read(): Promise<VectorRows> {
    const { sql } = this.#world
    const aliasOf = new Map([...this.#ids].map(([alias, id]) => [id, alias]))
    const named = <R extends { job: string }>(rows: readonly R[]) =>
      rows.flatMap((row) => {
        const alias = aliasOf.get(row.job)
        return alias === undefined ? [] : [{ ...row, job: alias }]
      })
    const owner = (id: string | null) => (id === null ? null : (this.#processes.get(id) ?? 'unknown'))
    const jobs = await sql<VectorJob & { job: string }>(SELECT_JOBS)
    const [{ claims_table = null } = {}] = await sql<{ claims_table: string | null }>(
      `SELECT to_regclass('good_job_concurrency_claims')::text AS claims_table`,
    )
    const claims = claims_table === null ? 'absent' : named(await sql<VectorClaim>(SELECT_CLAIMS))
    const executions = named(await sql<VectorExecution>(SELECT_EXECUTIONS))
    return {
      jobs: named(jobs).map(({ job, locked_by, ...row }) => ({ ...row, id: job, locked_by: owner(locked_by) })),
      claims: claims === 'absent' ? claims : claims.map((row) => ({ ...row, locked_by: owner(row.locked_by) })),
      executions: executions.map((row) => ({ ...row, process: owner(row.process) })),
    }
  }

  /** `isGone`: it has no row any more. */
  async #process(alias: string | null, isGone = false): Promise<string | null> {
    if (alias === null) return null
    const known = [...this.#processes].find(([, each]) => each === alias)
    if (known !== undefined) return known[0]
    const id = randomUUID()
    this.name(id, alias)
    if (isGone) return id
    const age = alias === 'dead' ? 360 : 0
    await this.#world.sql(
      'INSERT INTO good_job_processes (id, created_at, updated_at, state) VALUES ($1, $2, $2, $3)',
      [id, ago(age), '{}'],
    )
    return id
  }

  async #insertJob(job: VectorJob, args: readonly unknown[]): Promise<void> {
    const id = this.id(job.id)
    const { executions, exception_executions, labels, concurrency_key } = job
    const own = job.job_class === 'VJob' ? { arguments: args } : {}
    const lockedBy = await this.#process(job.locked_by)
    await this.#world.insert({
      id,
      job_class: job.job_class,
      queue_name: job.queue,
      concurrency_key,
      labels,
      serialized_params: JSON.stringify(
        paramsOf(job.job_class, id, { queue_name: job.queue, executions, exception_executions, ...own }),
      ),
      scheduled_at: ago(-job.scheduled_in_s),
      created_at: ago(job.created_ago_s),
      performed_at: job.performed ? ago(1) : null,
      finished_at: job.finished ? ago(1) : null,
      error: job.error,
      error_event: job.error_event,
      executions_count: job.executions_count,
      locked_by_id: lockedBy,
      locked_at: lockedBy === null ? null : ago(1),
      batch_id: job.batch ? this.#batchId : null,
    })
  }

  async #insertClaim({ job, key, state, locked_by, created_ago_s }: VectorClaim): Promise<void> {
    await this.#world.sql(INSERT_CLAIM, [
      this.id(job),
      key,
      state,
      await this.#process(locked_by, locked_by === 'dead'),
      ago(created_ago_s),
    ])
  }

  /** Its job was created a second before. */
  async #insertExecution({ job, error, error_event }: VectorExecution, { jobs }: VectorRows): Promise<void> {
    const created = (jobs.find(({ id }) => id === job)?.created_ago_s ?? 1) - 1
    await this.#world.sql(INSERT_EXECUTION, [this.id(job), ago(created), error, error_event])
  }
}

/** $1 id */
const INSERT_BATCH = `
INSERT INTO good_job_batches (id, created_at, updated_at, enqueued_at)
VALUES ($1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')`

/** $1 job · $2 key · $3 state · $4 process · $5 created at */
const INSERT_CLAIM = `
INSERT INTO good_job_concurrency_claims (job_id, key, state, locked_by_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $5)`

/** $1 job · $2 created at · $3 error · $4 error_event */
const INSERT_EXECUTION = `
INSERT INTO good_job_executions (active_job_id, created_at, updated_at, finished_at, error, error_event) VALUES ($1, $2, $2, $2, $3, $4)`

const SELECT_JOBS = `
SELECT id AS job, job_class, queue_name AS queue, concurrency_key, labels,
  extract(epoch FROM scheduled_at - (now() AT TIME ZONE 'UTC'))::float8 AS scheduled_in_s,
  extract(epoch FROM (now() AT TIME ZONE 'UTC') - created_at)::float8 AS created_ago_s,
  performed_at IS NOT NULL AS performed, finished_at IS NOT NULL AS finished, error, error_event, executions_count,
  locked_by_id AS locked_by, batch_id IS NOT NULL AS batch,
  (serialized_params->>'executions')::integer AS executions, serialized_params->'exception_executions' AS exception_executions
FROM good_jobs ORDER BY created_at, id`

const SELECT_CLAIMS = `
SELECT job_id AS job, key, state, locked_by_id AS locked_by,
  extract(epoch FROM (now() AT TIME ZONE 'UTC') - created_at)::float8 AS created_ago_s
FROM good_job_concurrency_claims`

const SELECT_EXECUTIONS = `
SELECT active_job_id AS job, error, error_event, finished_at IS NOT NULL AS finished, process_id AS process
FROM good_job_executions ORDER BY created_at`

/** What two snapshots do not have in common, as "job me error" or "claim me label:a state". */
export const differences = (one: VectorRows, other: VectorRows): string[] => {
  const [a, b] = [fieldsOf(one), fieldsOf(other)]
  const names = [...new Set([...a.keys(), ...b.keys()])]
  return names.filter((name) => !isSame(name, a.get(name), b.get(name))).sort()
}

const isSame = (name: string, one: unknown, other: unknown): boolean => {
  if (typeof one !== 'number' || typeof other !== 'number') return JSON.stringify(one) === JSON.stringify(other)
  if (name.endsWith(' created_ago_s')) return Math.abs(one - other) <= TOLERANCE_S
  if (name.endsWith(' scheduled_in_s')) return isSameStart(one, other)
  return one === other
}

/** A job that is due is due, whenever it became so. */
const isSameStart = (one: number, other: number): boolean =>
  one <= 0 === other <= 0 && (one <= 0 || Math.abs(one - other) <= TOLERANCE_S)

const fieldsOf = ({ jobs, claims, executions }: VectorRows): Map<string, unknown> => {
  const fields = new Map<string, unknown>()
  const add = (prefix: string, row: object) => {
    for (const [name, value] of Object.entries(row)) fields.set(`${prefix} ${name}`, value)
  }
  for (const { id, ...job } of jobs) add(`job ${id}`, { ...job, labels: job.labels ?? [] })
  for (const { job, key, ...claim } of claims === 'absent' ? [] : claims) add(`claim ${job} ${key}`, claim)
  const counts = new Map<string, number>()
  for (const { job, error, error_event, finished, process } of executions) {
    counts.set(job, (counts.get(job) ?? 0) + 1)
    add(`execution ${job} ${counts.get(job)}`, { error, error_event, finished, process })
  }
  return fields
}
