import { byKey } from '../text.ts'

/** The claim that an outcome belongs to. Together with the process id it is the fence of every write. */
export interface ClaimRef {
  readonly id: string
  readonly lockedAt: string
  readonly executionId: string
}

/**
 * The condition under which a row accepts an outcome: the job is unfinished, and this process holds it by the same claim. `outcome`
 * is the list of outcomes, $9 the id of the process.
 *
 * IS NOT DISTINCT FROM keeps the planner off the index on locked_by_id, which would find every job of this process for each
 * outcome. num_nulls keeps it off the indexes of unfinished jobs.
 */
export const FENCE = `${byKey('good_jobs.id', 'outcome.id')}
    AND good_jobs.locked_by_id IS NOT DISTINCT FROM $9::uuid
    AND good_jobs.locked_at = outcome.locked_at
    AND num_nulls(good_jobs.finished_at) = 1`
