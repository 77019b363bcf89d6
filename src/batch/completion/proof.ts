import type { LockedBatch } from '../../sql/batch/check.ts'
import { findBatchHistory } from '../../sql/batch/history.ts'
import { isDiscardedLate } from '../../sql/batch/late-discard.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { findDeletingProcess } from '../../sql/process/processes.ts'
import type { Proof } from './decision.ts'

/** Whether and when this process deletes finished jobs. */
export interface ProofPolicy {
  readonly deletesFinishedJobs: boolean
  /** Seconds after which finished jobs may be deleted; undefined while discarded jobs are kept. */
  readonly cleanupAgeSeconds: number | undefined
}

/**
 * Whether a discarded batch without open or broken members really lost nothing. Deleted rows leave no trace, so "no broken member is left"
 * proves nothing by itself: the history must show the attempt that broke the batch and a later success, and no process may be deleting
 * finished jobs. If the batch was discarded after its success, the broken attempt is not required: no attempt has broken the batch since.
 */
export const proveRecovery = async (
  db: Queryable,
  facts: Facts,
  batch: LockedBatch,
  policy: ProofPolicy,
  now: Date,
): Promise<Proof> => {
  if (batch.discarded_at === null) return { kind: 'proven' }
  const history = await findBatchHistory(db, facts, batch, batch.discarded_at)
  const isMended = history.has_mended_member || history.has_manual_discard
  const isLate = !(history.has_success_since && isMended) && (await isDiscardedLate(db, facts, batch))
  if (!history.has_success_since && !isLate)
    return unproven('no member succeeded in an attempt that started after the batch was discarded')
  if (!isMended && !isLate) return unproven('the job whose attempt discarded the batch is gone')
  if (policy.deletesFinishedJobs) return unproven('this process deletes finished jobs (preserve_job_records)')
  const age = policy.cleanupAgeSeconds
  if (age !== undefined && now.getTime() - Date.parse(batch.created_at) > age * 1000) {
    return unproven(`the batch is older than the ${age} s after which discarded jobs are cleaned up`)
  }
  const deleting = await findDeletingProcess(db, facts)
  if (deleting) {
    return unproven(
      `process ${deleting.hostname}:${deleting.pid} (${deleting.id}) deletes finished jobs (preserve_job_records)`,
    )
  }
  if (isLate) return { kind: 'discarded_late' }
  return history.has_success_callback ? { kind: 'already_succeeded' } : { kind: 'proven' }
}

const unproven = (reason: string): Proof => ({ kind: 'unproven', reason })
