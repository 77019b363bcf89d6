import type { Queryable } from '../../sql/connection/queryable.ts'
import { findLockedBatches, findLockedJobs } from '../../sql/outcome/locks.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import type { Outcome } from './outcome.ts'

/** What another session has locked: a batch or a job, by id. */
export type Blocker = string

/**
 * Returns which of these outcomes cannot be written now, and what blocks them. A caller's open transaction that adds to a batch
 * holds the lock of the batch, or the row of a job that joins; a report or a backup may hold the row of an execution. Waits for no
 * lock and leaves none behind.
 */
export const findBlocked = (db: Queryable, outcomes: readonly Outcome[]): Promise<Map<Outcome, Blocker>> =>
  inTransaction(db, async () => {
    const jobs = await findLockedJobs(
      db,
      outcomes.map(({ row, write }) => ({ id: row.id, executionId: row.execution_id, isDeleted: write === 'delete' })),
    )
    const byId = new Map(jobs.map((job) => [job.id, job]))
    const batchesOf = ({ row }: Outcome): string[] => {
      // A job may have joined a batch while it ran.
      const ids = [row, byId.get(row.id)].flatMap((one) => [one?.batch_id, one?.batch_callback_id])
      return ids.filter((id) => id != null)
    }
    const locked = new Set(await findLockedBatches(db, [...new Set(outcomes.flatMap(batchesOf))]))
    const blocked = new Map<Outcome, Blocker>()
    for (const outcome of outcomes) {
      const batchId = batchesOf(outcome).find((id) => locked.has(id))
      if (batchId !== undefined) blocked.set(outcome, batchId)
      else if (byId.get(outcome.row.id)?.is_locked) blocked.set(outcome, outcome.row.id)
    }
    return blocked
  })
