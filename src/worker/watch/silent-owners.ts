import { OWNER_SILENCE_MS } from '../../maintenance/release-times.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { type AbandonedJob, findSilentJobs, releaseSilentJobs, type SilentJobs } from '../../sql/jobs/abandoned.ts'

/**
 * Releases jobs whose owner has no process row and whose advisory lock is free: those of skiplocked Ruby workers. GoodJob never releases
 * them. One check is not enough either, because a live owner may have lost only its row; checks over more than five minutes are conclusive.
 */
export class SilentOwners {
  /** When each job was first seen in this state, by the server's clock. */
  #since: ReadonlyMap<string, number> = new Map()

  /** The jobs that every check of the last five minutes has seen, with the same claim. */
  due({ jobs, atMs }: SilentJobs): AbandonedJob[] {
    const since = new Map(jobs.map((job) => [keyOf(job), this.#since.get(keyOf(job)) ?? atMs] as const))
    this.#since = since
    return jobs.filter((job) => atMs - (since.get(keyOf(job)) ?? atMs) > OWNER_SILENCE_MS)
  }

  /** Makes one check, in the caller's transaction. @returns how many jobs were released */
  async release(db: Queryable, facts: Facts): Promise<number> {
    const due = this.due(await findSilentJobs(db, facts))
    return due.length > 0 ? releaseSilentJobs(db, facts, due) : 0
  }
}

const keyOf = ({ id, locked_by_id, locked_at }: AbandonedJob): string => `${id} ${locked_by_id} ${locked_at}`
