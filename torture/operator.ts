import type { Pool } from 'pg'
import type { Adapter } from '../src/index.ts'
import type { Random } from './random.ts'

/** Discarded a moment ago or longer: the last outcome may still be on its way. */
const DISCARDED = `
SELECT id FROM good_jobs
WHERE finished_at < now() AT TIME ZONE 'UTC' - interval '1 second' AND error IS NOT NULL
ORDER BY finished_at LIMIT 20`

const RUNNING = `
SELECT id FROM good_jobs
WHERE finished_at IS NULL AND performed_at IS NOT NULL AND batch_callback_id IS NULL AND job_class <> 'Fleet::EnqueueJob'`

/** Somebody at the dashboard: retries what was discarded, and now and then force-discards what runs. */
export class Operator {
  readonly counts = { retried: 0, forceDiscarded: 0, refused: 0 }
  readonly #adapter: Adapter
  readonly #pool: Pool
  readonly #random: Random

  constructor(adapter: Adapter, pool: Pool, random: Random) {
    this.#adapter = adapter
    this.#pool = pool
    this.#random = random
  }

  /** Retries discarded jobs; answers how many there were. */
  async retryDiscarded(): Promise<number> {
    const { rows } = await this.#pool.query<{ id: string }>(DISCARDED)
    for (const { id } of rows) {
      if (await this.#act(() => this.#adapter.retryJob(id))) this.counts.retried += 1
    }
    return rows.length
  }

  /** Force-discards a running job, when there is one. */
  async forceDiscard(): Promise<void> {
    const { rows } = await this.#pool.query<{ id: string }>(RUNNING)
    const id = this.#random.pick(rows)?.id
    if (id === undefined) return
    if (await this.#act(() => this.#adapter.forceDiscardJob(id))) this.counts.forceDiscarded += 1
  }

  /** What GoodJob refuses, because the job has moved on or is being performed, is no fault. */
  async #act(action: () => Promise<void>): Promise<boolean> {
    try {
      await action()
      return true
    } catch {
      this.counts.refused += 1
      return false
    }
  }
}
