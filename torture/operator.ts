import type { Pool } from 'pg'
import { type Adapter, GoodJobError } from '../src/index.ts'
import type { Random } from './random.ts'

/** Discarded at least a moment ago, as the last outcome may still be under way. */
const DISCARDED = `
SELECT id FROM good_jobs
WHERE finished_at < now() AT TIME ZONE 'UTC' - interval '1 second' AND error IS NOT NULL
ORDER BY finished_at LIMIT 20`

/** Refused by Ruby several times, after which its wait for the next try is minutes, and not promoted by whoever freed a place. */
const REFUSED = `
SELECT id FROM good_jobs
WHERE finished_at IS NULL AND performed_at IS NULL AND scheduled_at > (now() AT TIME ZONE 'UTC') + interval '20 seconds'
AND error LIKE 'GoodJob::ActiveJobExtensions::Concurrency::%'
ORDER BY scheduled_at LIMIT 20`

const RUNNING = `
SELECT id FROM good_jobs
WHERE finished_at IS NULL AND performed_at IS NOT NULL AND batch_callback_id IS NULL AND job_class <> 'Fleet::EnqueueJob'`

const NOTE_ACTION = 'INSERT INTO fleet_actions (job_id, action) VALUES ($1, $2) RETURNING id'

/** A person at the dashboard: retries discarded jobs, and now and then force-discards a running one. */
export class Operator {
  readonly counts = { retried: 0, forceDiscarded: 0, called: 0, refused: 0 }
  readonly #adapter: Adapter
  readonly #pool: Pool
  readonly #random: Random
  readonly #ledger: Pool

  constructor(options: {
    readonly adapter: Adapter
    readonly pool: Pool
    readonly ledger: Pool
    readonly random: Random
  }) {
    this.#adapter = options.adapter
    this.#pool = options.pool
    this.#ledger = options.ledger
    this.#random = options.random
  }

  /** Retries discarded jobs; returns their number. */
  async retryDiscarded(): Promise<number> {
    const { rows } = await this.#pool.query<{ id: string }>(DISCARDED)
    for (const { id } of rows) {
      if (await this.#act(id, 'retry', () => this.#adapter.retryJob(id))) this.counts.retried += 1
    }
    return rows.length
  }

  /** Lets jobs try again that Ruby has refused several times. */
  async callRefused(): Promise<void> {
    const { rows } = await this.#pool.query<{ id: string }>(REFUSED)
    for (const { id } of rows) {
      if (await this.#act(id, 'reschedule', () => this.#adapter.rescheduleJob(id, new Date()))) this.counts.called += 1
    }
  }

  /** Force-discards a running job, when there is one. */
  async forceDiscard(): Promise<void> {
    const { rows } = await this.#pool.query<{ id: string }>(RUNNING)
    const id = this.#random.pick(rows)?.id
    if (id === undefined) return
    if (await this.#act(id, 'force discard', () => this.#adapter.forceDiscardJob(id))) this.counts.forceDiscarded += 1
  }

  /** A refusal by GoodJob, because the job has changed or is being performed, is no fault. */
  async #act(id: string, name: string, action: () => Promise<void>): Promise<boolean> {
    const { rows } = await this.#ledger.query<{ id: string }>(NOTE_ACTION, [id, name])
    const note = (isDone: boolean) =>
      this.#ledger.query('UPDATE fleet_actions SET is_done = $2 WHERE id = $1', [rows[0]?.id, isDone])
    try {
      await action()
      await note(true)
      return true
    } catch (error) {
      if (error instanceof GoodJobError) await note(false)
      this.counts.refused += 1
      return false
    }
  }
}
