import type { EnqueueAdapter } from '../../enqueue/adapter.ts'
import { findWaitingClaims } from '../../sql/concurrency/claims.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { countJobsBefore, findJobSituation, type JobSituation, type JobsBefore } from '../../sql/jobs/situation.ts'
import { findPauses } from '../../sql/pauses.ts'
import { findProcess, listProcesses } from '../../sql/process/list.ts'
import { boundedRead } from '../../sql/transaction/bounded-read.ts'
import { columnText } from '../../time.ts'
import { isUuid } from '../../uuid.ts'
import { workerProcess } from '../worker-processes.ts'
import { explainJob, type JobFacts } from './explain.ts'
import type { JobExplanation } from './reasons.ts'
import { countRules } from './rule-counts.ts'

const READ = { timeoutMs: 5_000 }
const PROCESSES = 1_000
/** Rows of its queue that are read to find the jobs before a job. */
const MAX_BEFORE = 10_000

/** Why a job is as it is, by some reads of indexes. */
export const why = async (adapter: EnqueueAdapter, jobId: string): Promise<JobExplanation> => {
  if (!isUuid(jobId)) return explainJob(jobId, undefined)
  const { database, clock } = adapter
  const facts = await database.facts()
  return boundedRead(database, READ, async (db) => {
    const sentMs = clock.now().getTime()
    const job = await findJobSituation(db, facts, jobId)
    const returnedMs = clock.now().getTime()
    if (job === undefined) return explainJob(jobId, undefined)
    return explainJob(jobId, await factsOf(db, facts, job, clockAhead(job.now_ms, sentMs, returnedMs)))
  })
}

/** The server read its clock at some time between these two readings of this process's clock. */
const clockAhead = (serverMs: number, sentMs: number, returnedMs: number): number =>
  serverMs < sentMs ? sentMs - serverMs : Math.min(returnedMs - serverMs, 0)

const factsOf = async (db: Queryable, facts: Facts, job: JobSituation, clockAheadMs: number): Promise<JobFacts> => {
  const processes = (await listProcesses(db, facts, PROCESSES)).map(workerProcess)
  return {
    job,
    owner: job.locked_by_id === null ? undefined : await findProcess(db, facts, job.locked_by_id),
    processes,
    pauses: await findPauses(db),
    claims: await findWaitingClaims(db, facts, job.id),
    counts: await countRules(db, facts, job, processes),
    before: await jobsBefore(db, job),
    clockAheadMs,
  }
}

const jobsBefore = async (db: Queryable, job: JobSituation): Promise<JobsBefore> => {
  if (job.finished_at !== null || job.locked_by_id !== null) return { jobs: 0, is_capped: false }
  return countJobsBefore(db, job, { now: columnText(new Date(job.now_ms)), limit: MAX_BEFORE })
}
