import { randomUUID } from 'node:crypto'
import type { Client } from 'pg'
import type { World } from './harness.ts'

/** GoodJob's three ways to claim a job. */
export type LockStrategy = 'advisory' | 'skiplocked' | 'hybrid'

const KEY = (id: string) => `('x' || substr(md5('good_jobs' || '-' || ${id}::text), 1, 16))::bit(64)::bigint`
const ORDER = 'ORDER BY priority ASC NULLS LAST, created_at ASC'
const DUE = 'finished_at IS NULL AND scheduled_at <= now() AT TIME ZONE $1'

const ofQueue = (queue: string | undefined): string => (queue === undefined ? '' : `AND queue_name = '${queue}'`)

const claimAdvisory = (queue: string | undefined): string => `
  SELECT id, performed_at, locked_at FROM good_jobs WHERE id IN (
    WITH rows AS MATERIALIZED (SELECT id FROM good_jobs WHERE ${DUE} ${ofQueue(queue)} ${ORDER} LIMIT 1000)
    SELECT rows.id FROM rows WHERE pg_try_advisory_lock(${KEY('rows.id')}) LIMIT 1)`

const claimWithColumns = (lockType: 1 | 2, queue: string | undefined): string => `
  WITH candidate AS MATERIALIZED (
    SELECT id FROM good_jobs WHERE ${DUE} ${ofQueue(queue)} AND locked_by_id IS NULL ${ORDER} LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
  )
  UPDATE good_jobs SET locked_by_id = $2::uuid, locked_at = now() AT TIME ZONE $1, lock_type = ${lockType}
  FROM (SELECT id FROM candidate ${lockType === 2 ? `WHERE pg_try_advisory_lock(${KEY('id')})` : ''}) AS locked
  WHERE good_jobs.id = locked.id
  RETURNING good_jobs.id, performed_at`

/** A worker of one thread that claims and writes as GoodJob 4.23 does, with one session for its locks. */
export class RubyWorker {
  readonly processId = randomUUID()
  /** Ids of the jobs it ran. */
  readonly ran: string[] = []
  /** Ids of jobs whose previous attempt never wrote an outcome. */
  readonly interrupted: string[] = []
  readonly #client: Client
  readonly #strategy: LockStrategy
  readonly #queue: string | undefined

  private constructor(client: Client, strategy: LockStrategy, queue: string | undefined) {
    this.#client = client
    this.#strategy = strategy
    this.#queue = queue
  }

  /** Without a `queue` it serves all. */
  static async connect(world: World, strategy: LockStrategy, queue?: string): Promise<RubyWorker> {
    const client = await world.database.connect()
    const worker = new RubyWorker(client, strategy, queue)
    await client.query(
      `INSERT INTO good_job_processes (id, state, created_at, updated_at)
       VALUES ($1, '{"memory":1,"proctitle":"ruby","schedulers":[]}', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')`,
      [worker.processId],
    )
    return worker
  }

  /** Runs jobs with `perform` until a claim finds none. */
  async runAll(perform: (id: string) => Promise<void>): Promise<void> {
    for (let id = await this.claim(); id !== undefined; id = await this.claim()) {
      await this.#start(id)
      await perform(id)
      this.ran.push(id)
      await this.#finish(id)
    }
  }

  /** Releases the jobs of processes without a heartbeat for five minutes, as Ruby does; returns their ids. GoodJob process.rb#cleanup */
  async cleanUp(): Promise<string[]> {
    const { rows } = await this.#client.query<{ id: string }>(
      `SELECT id FROM good_job_processes WHERE lock_type IS NULL AND updated_at < now() AT TIME ZONE 'UTC' - interval '5 minutes'`,
    )
    for (const { id } of rows) {
      await this.#client.query('UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE locked_by_id = $1', [
        id,
      ])
      await this.#client.query('DELETE FROM good_job_processes WHERE id = $1', [id])
    }
    return rows.map(({ id }) => id)
  }

  /** One claim; returns the id of the claimed job, if any. */
  async claim(): Promise<string | undefined> {
    const { rows } =
      this.#strategy === 'advisory'
        ? await this.#client.query(claimAdvisory(this.#queue), ['UTC'])
        : await this.#client.query(claimWithColumns(this.#strategy === 'hybrid' ? 2 : 1, this.#queue), [
            'UTC',
            this.processId,
          ])
    const row = rows[0]
    if (row === undefined) return undefined
    // The row may have changed since the snapshot of the claim: GoodJob reads it again.
    const { rows: fresh } = await this.#client.query(
      'SELECT performed_at FROM good_jobs WHERE id = $1 AND finished_at IS NULL',
      [row.id],
    )
    if (fresh.length === 0) {
      await this.#unlock(row.id)
      return this.claim()
    }
    if (fresh[0].performed_at !== null) this.interrupted.push(row.id)
    return row.id
  }

  async #start(id: string): Promise<void> {
    await this.#client.query(
      `UPDATE good_jobs SET performed_at = now() AT TIME ZONE 'UTC', executions_count = coalesce(executions_count, 0) + 1,
         locked_by_id = $2, locked_at = coalesce(locked_at, now() AT TIME ZONE 'UTC'), lock_type = coalesce(lock_type, 0)
       WHERE id = $1`,
      [id, this.processId],
    )
    await this.#client.query(
      `INSERT INTO good_job_executions (active_job_id, job_class, queue_name, serialized_params, scheduled_at, process_id, created_at, updated_at)
       SELECT id, job_class, queue_name, serialized_params, scheduled_at, $2, performed_at, performed_at FROM good_jobs WHERE id = $1`,
      [id, this.processId],
    )
  }

  async #finish(id: string): Promise<void> {
    await this.#client.query('BEGIN')
    await this.#client.query(
      `UPDATE good_job_executions SET finished_at = now() AT TIME ZONE 'UTC', duration = '1 second'
       WHERE active_job_id = $1 AND finished_at IS NULL`,
      [id],
    )
    await this.#client.query(
      `UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC', error = NULL, error_event = NULL,
         locked_by_id = NULL, locked_at = NULL, lock_type = NULL WHERE id = $1`,
      [id],
    )
    await this.#client.query('COMMIT')
    await this.#unlock(id)
  }

  async #unlock(id: string): Promise<void> {
    if (this.#strategy !== 'skiplocked') await this.#client.query(`SELECT pg_advisory_unlock(${KEY('$1')})`, [id])
  }
}
