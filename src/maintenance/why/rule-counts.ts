import { countRunning } from '../../sql/concurrency/admission.ts'
import { findHolders, type Holder } from '../../sql/concurrency/scope-jobs.ts'
import { countClaims } from '../../sql/concurrency/usage.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import type { JobSituation } from '../../sql/jobs/situation.ts'
import { knownRules, rulesOfJob } from '../concurrency/known-rules.ts'
import { type CountedThrottle, countThrottles } from '../concurrency/throttles.ts'
import type { WorkerProcess } from '../worker-processes.ts'

/** What the known rules of a job count, by the claim keys of their scopes. */
export interface RuleCounts {
  readonly running: ReadonlyMap<string, number>
  /** Some of the running jobs of each scope. */
  readonly holders: readonly Holder[]
  readonly throttles: readonly CountedThrottle[]
  /** Scopes that a worker has counted. */
  readonly claimed: ReadonlySet<string>
}

const NOTHING: RuleCounts = { running: new Map(), holders: [], throttles: [], claimed: new Set() }

/** Running jobs that are named. */
const HOLDERS = 5

/** Reads what the known rules of a waiting job count. */
export const countRules = async (
  db: Queryable,
  facts: Facts,
  job: JobSituation,
  processes: readonly WorkerProcess[],
): Promise<RuleCounts> => {
  if (job.finished_at !== null || job.locked_by_id !== null) return NOTHING
  const rules = rulesOfJob(knownRules(processes), job)
  if (rules.length === 0) return NOTHING
  const claimKeys = [...new Set(rules.map(({ claimKey }) => claimKey))]
  const claimed = new Set<string>()
  for (const key of new Set(rules.flatMap(({ isAssumed, claimKey }) => (isAssumed ? claimKey : [])))) {
    if ((await countClaims(db, facts, { maxClaims: 1, limit: 1, key })).length > 0) claimed.add(key)
  }
  return {
    running: await countRunning(db, facts, claimKeys),
    holders: await findHolders(db, facts, claimKeys, HOLDERS),
    throttles: await countThrottles(db, facts, rules, new Date(job.now_ms)),
    claimed,
  }
}
