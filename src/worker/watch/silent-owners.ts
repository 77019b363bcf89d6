import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { type AbandonedJob, findSilentJobs, releaseSilentJobs, type SilentJobs } from '../../sql/jobs/abandoned.ts'

/**
 * Between the first look and the last. From GoodJob 4.22.1 on a process that lives has its row again, under its own id, within half a minute
 * (process.rb#refresh); one that says nothing for five minutes is dead to every GoodJob.
 */
const SILENCE_MS = 300_000

/**
 * Frees jobs of owners without a process row that hold no advisory lock in any state: skiplocked Ruby workers. Neither GoodJob nor a look
 * of the moment frees them, as an owner that lives may have lost its row only; looks more than five minutes apart tell.
 */
export class SilentOwners {
  /** When each job was first seen like this, by the server's clock. */
  #since: ReadonlyMap<string, number> = new Map()

  /** The jobs that every look of the last five minutes has seen, with the same claim. */
  due({ jobs, atMs }: SilentJobs): AbandonedJob[] {
    const since = new Map(jobs.map((job) => [keyOf(job), this.#since.get(keyOf(job)) ?? atMs] as const))
    this.#since = since
    return jobs.filter((job) => atMs - (since.get(keyOf(job)) ?? atMs) > SILENCE_MS)
  }

  /** One look; answers how many jobs it freed. The caller has a transaction. */
  async release(db: Queryable, facts: Facts): Promise<number> {
    const due = this.due(await findSilentJobs(db, facts))
    return due.length > 0 ? releaseSilentJobs(db, facts, due) : 0
  }
}

const keyOf = ({ id, locked_by_id, locked_at }: AbandonedJob): string => `${id} ${locked_by_id} ${locked_at}`
