import pg, { type Pool } from 'pg'

/**
 * What jobs say themselves, each line a commit of its own, on connections that no fault touches: an attempt's body from its first
 * to its last moment. Beside it, what was done to the workers.
 */
export const LEDGER_TABLES = `
CREATE TABLE fleet_attempts (
  id bigserial PRIMARY KEY,
  job_id uuid NOT NULL,
  job_class text NOT NULL,
  executions integer NOT NULL,
  side text NOT NULL,
  strategy text NOT NULL,
  worker text NOT NULL,
  due_at timestamptz,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at timestamptz,
  outcome text
);
CREATE INDEX ON fleet_attempts (job_id);
CREATE TABLE fleet_deaths (
  worker text PRIMARY KEY,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  -- Since then its process row looks as old as it would five minutes later.
  forgotten_at timestamptz
);
CREATE TABLE fleet_faults (
  id bigserial PRIMARY KEY,
  kind text NOT NULL,
  worker text,
  takes_locks boolean NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  over_at timestamptz
);
CREATE TABLE fleet_actions (
  job_id uuid NOT NULL,
  action text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE fleet_workers (worker text PRIMARY KEY, side text NOT NULL, strategy text NOT NULL, process_id uuid NOT NULL);`

/** How a body ended: 'done' · 'failed' as planned · 'aborted' by its signal. */
export type BodyOutcome = 'done' | 'failed' | 'aborted'

/** What an attempt says of itself when it begins. */
export interface Beginning {
  readonly jobId: string
  readonly jobClass: string
  readonly executions: number
  readonly dueAt: Date | null
}

// $1 job_id · $2 job_class · $3 executions · $4 strategy · $5 worker · $6 due_at
const BEGIN = `
INSERT INTO fleet_attempts (job_id, job_class, executions, side, strategy, worker, due_at)
VALUES ($1, $2, $3, 'node', $4, $5, $6) RETURNING id`

// $1 id · $2 outcome
const END = 'UPDATE fleet_attempts SET ended_at = clock_timestamp(), outcome = $2 WHERE id = $1'

/** The ledger as a worker in Node writes it. */
export class Ledger {
  readonly #pool: Pool
  readonly #worker: string
  readonly #strategy: string

  constructor(url: string, worker: string, strategy: string) {
    this.#pool = new pg.Pool({ connectionString: url, max: 20, application_name: 'fleet ledger' })
    this.#pool.on('error', () => undefined)
    this.#worker = worker
    this.#strategy = strategy
  }

  async begin({ jobId, jobClass, executions, dueAt }: Beginning): Promise<string> {
    const values = [jobId, jobClass, executions, this.#strategy, this.#worker, dueAt]
    const { rows } = await this.#pool.query<{ id: string }>({ name: 'begin', text: BEGIN, values })
    return rows[0]?.id ?? ''
  }

  async end(id: string, outcome: BodyOutcome): Promise<void> {
    await this.#pool.query({ name: 'end', text: END, values: [id, outcome] })
  }
}
