import type { Throttle } from '../../concurrency-option.ts'
import { DiscardJobError } from '../../errors.ts'
import type { PublishedRule } from '../../job/concurrency/published.ts'
import { type Pause, type Pauses, pauseOf } from '../../job/pauses.ts'
import type { WaitingClaim } from '../../sql/concurrency/claims.ts'
import type { JobSituation, JobsBefore } from '../../sql/jobs/situation.ts'
import type { ListedProcess } from '../../sql/process/list.ts'
import { knownRules, rulesOfJob } from '../concurrency/known-rules.ts'
import { opensAt } from '../concurrency/throttles.ts'
import { ORPHAN_MINUTES, SILENT_MINUTES } from '../release-times.ts'
import { mayRun, servesQueue, type WorkerProcess, workerProcess } from '../worker-processes.ts'
import type { JobExplanation, JobOwner, JobReason, LockType, PlaceHolder } from './reasons.ts'
import type { RuleCounts } from './rule-counts.ts'

/** What is known of a job that exists. */
export interface JobFacts {
  readonly job: JobSituation
  /** The row of the process that has it; undefined without a row or an owner. */
  readonly owner: ListedProcess | undefined
  readonly processes: readonly WorkerProcess[]
  readonly pauses: Pauses
  readonly claims: readonly WaitingClaim[]
  readonly counts: RuleCounts
  readonly before: JobsBefore
  /** How far the clock of this process is ahead of the server's. */
  readonly clockAheadMs: number
}

/** Why a job is as it is. Pure: everything is in the facts, and the server's clock decides what is due. */
export const explainJob = (jobId: string, facts: JobFacts | undefined): JobExplanation => {
  if (facts === undefined) return { reason: 'missing', jobId, clockAheadSeconds: null, ignoredPause: null }
  return {
    ...reasonOf(facts),
    jobId,
    clockAheadSeconds: clockAheadSeconds(facts),
    ignoredPause: ignoredPause(facts) ?? null,
  }
}

const reasonOf = (facts: JobFacts): JobReason => {
  for (const reason of REASONS) {
    const found = reason(facts)
    if (found !== undefined) return found
  }
  return due(facts)
}

type Reason = (facts: JobFacts) => JobReason | undefined

const finished: Reason = ({ job }) => {
  if (job.finished_at === null) return undefined
  const ended = { finishedAt: timeOf(job.finished_at), attempts: attemptsOf(job) }
  const error = errorOf(job)
  if (error === '') return { reason: 'succeeded', ...ended }
  return { reason: 'discarded', ...ended, error, by: BY_PERSON.test(error) ? 'person' : 'attempt' }
}

/** GoodJob 4.23.1 job.rb#discard_job. */
const BY_PERSON = new RegExp(`^${DiscardJobError.rubyName}\\b`)

const running: Reason = (facts) => {
  const { job } = facts
  if (job.locked_by_id === null || job.is_abandoned) return undefined
  const process = ownerOf(facts, job.locked_by_id)
  if (process.state === 'dead') return undefined
  const startedAt = job.performed_at === null ? null : timeOf(job.performed_at)
  // Whoever wrote a start without its count: the first attempt is 1.
  const attempt = startedAt === null ? attemptsOf(job) + 1 : Math.max(attemptsOf(job), 1)
  return { reason: 'running', process, startedAt, attempt }
}

const LOCK_TYPES: readonly LockType[] = ['advisory', 'skiplocked', 'hybrid']

const abandoned: Reason = ({ job, processes }) => {
  if (job.locked_by_id === null || !job.is_abandoned) return undefined
  const lockType = LOCK_TYPES[job.lock_type ?? -1] ?? null
  // worker/watch/silent-owners.ts: no lock shows whether such an owner is alive.
  const isSilent = lockType === 'skiplocked' || job.locked_at === null
  const ownerMayLive = isSilent && job.has_renamed
  const isReleased = !ownerMayLive && processes.some((process) => process.is_alive && isNode(process))
  return {
    reason: 'abandoned',
    ownerId: job.locked_by_id,
    lockedAt: job.locked_at === null ? null : timeOf(job.locked_at),
    lockType,
    releasedWithinMinutes: isReleased ? (isSilent ? SILENT_MINUTES : ORPHAN_MINUTES) : null,
    ownerMayLive,
  }
}

const advisoryLocked: Reason = ({ job }) =>
  job.holder_pid === null
    ? undefined
    : {
        reason: 'advisory_locked',
        session: {
          pid: job.holder_pid,
          applicationName: job.holder_application,
          clientAddress: job.holder_address,
          connectedAt: job.holder_connected_at === null ? null : timeOf(job.holder_connected_at),
        },
      }

const claimedByDeadProcess: Reason = (facts) => {
  const { job, processes } = facts
  if (job.locked_by_id === null) return undefined
  const hasLiveWorker = processes.some(({ is_alive }) => is_alive)
  return { reason: 'claimed_by_dead_process', process: ownerOf(facts, job.locked_by_id), hasLiveWorker }
}

const scheduled: Reason = ({ job }) =>
  isFuture(job) && errorOf(job) === '' ? { reason: 'scheduled', at: startOf(job) } : undefined

const retried: Reason = ({ job }) =>
  isFuture(job) ? { reason: 'retried', at: startOf(job), attempt: attemptsOf(job) + 1, error: errorOf(job) } : undefined

const paused: Reason = (facts) => {
  const pause = pauseOfJob(facts)
  if (pause === undefined || isIgnored(facts)) return undefined
  const honours = candidatesOf(facts).map(({ honours_pauses }) => honours_pauses)
  const count = (published: boolean | null) => honours.filter((each) => each === published).length
  return { reason: 'paused', pause, workers: { honouring: count(true), ignoring: count(false), unknown: count(null) } }
}

const noWorker: Reason = ({ processes }) =>
  processes.some(({ is_alive }) => is_alive) ? undefined : { reason: 'no_worker' }

const queueUnserved: Reason = (facts) => {
  if (servingOf(facts).length > 0) return undefined
  const pools = facts.processes.filter(({ is_alive }) => is_alive).flatMap((process) => process.pools)
  return { reason: 'queue_unserved', queue: facts.job.queue_name, pools: [...new Set(pools)] }
}

const classUnknown: Reason = (facts) => {
  if (candidatesOf(facts).length > 0) return undefined
  const workers = servingOf(facts).map(({ hostname, pid }) => ({ hostname, pid }))
  return { reason: 'class_unknown', queue: facts.job.queue_name, jobClass: facts.job.job_class, workers }
}

const concurrencyLimited: Reason = ({ claims }) => {
  const [oldest] = claims
  if (oldest === undefined) return undefined
  return { reason: 'concurrency_limited', keys: claims.map(({ key }) => key), since: timeOf(oldest.created_at) }
}

/** As a worker checks the rules: in their order, the limit of each before its throttle. */
const concurrencyRule: Reason = (facts) => {
  const { counts, processes, job } = facts
  for (const { claimKey: key, rule, isAssumed } of rulesOfJob(knownRules(processes), job)) {
    if (isAssumed && !counts.claimed.has(key)) continue
    const running = counts.running.get(key) ?? 0
    if (typeof rule.limit === 'number' && running >= rule.limit) {
      return { reason: 'concurrency_full', key, limit: rule.limit, running, holders: holdersOf(facts, key) }
    }
    const throttle = counts.throttles.find((each) => each.claimKey === key && isSameThrottle(each, rule.throttle))
    const until = throttle && opensAt(throttle)
    if (throttle !== undefined && until !== undefined) {
      return { reason: 'concurrency_throttled', key, count: throttle.count, seconds: throttle.seconds, until }
    }
  }
  return undefined
}

const isSameThrottle = ({ count, seconds }: Throttle, throttle: PublishedRule['throttle']): boolean =>
  typeof throttle === 'object' && throttle?.count === count && throttle.seconds === seconds

const holdersOf = ({ counts, processes }: JobFacts, key: string): PlaceHolder[] =>
  counts.holders
    .filter(({ claim_key }) => claim_key === key)
    .map(({ id, performed_at, locked_by_id }) => {
      const process = processes.find((each) => each.id === locked_by_id)
      return {
        jobId: id,
        startedAt: timeOf(performed_at),
        process: process ? { hostname: process.hostname, pid: process.pid } : null,
      }
    })

/** The first that holds is the reason. */
const REASONS: readonly Reason[] = [
  finished,
  running,
  abandoned,
  advisoryLocked,
  claimedByDeadProcess,
  scheduled,
  retried,
  paused,
  noWorker,
  queueUnserved,
  classUnknown,
  concurrencyRule,
  concurrencyLimited,
]

const due = (facts: JobFacts): JobReason => {
  const { job, before } = facts
  return {
    reason: 'due',
    since: startOf(job),
    queue: job.queue_name,
    jobClass: job.job_class,
    jobsBefore: before.jobs,
    isCapped: before.is_capped,
    isInterrupted: job.performed_at !== null,
    mayLackClass: !candidatesOf(facts).some(isNode),
  }
}

const ownerOf = ({ owner }: JobFacts, id: string): JobOwner => {
  if (owner === undefined) return { id, hostname: null, pid: null, state: 'no_row', heardAt: null }
  const { hostname, pid } = workerProcess(owner)
  const state = !owner.is_alive ? 'dead' : owner.is_silent ? 'silent' : 'alive'
  return { id, hostname, pid, state, heardAt: timeOf(owner.updated_at) }
}

/** Ruby's do not publish their classes. */
const isNode = ({ job_classes }: WorkerProcess): boolean => job_classes !== null

/** Live processes that serve its queue. */
const servingOf = ({ job, processes }: JobFacts): WorkerProcess[] =>
  processes.filter((process) => process.is_alive && servesQueue(process, job.queue_name))

/** Those of them that know its class, or may. */
const candidatesOf = (facts: JobFacts): WorkerProcess[] =>
  servingOf(facts).filter((process) => mayRun(process, facts.job.job_class))

const pauseOfJob = ({ job, pauses }: JobFacts): Pause | undefined =>
  pauseOf({ queueName: job.queue_name, jobClass: job.job_class, labels: job.labels ?? [] }, pauses)

/** There are workers that could run the job, and none of them honours pauses. */
const isIgnored = (facts: JobFacts): boolean => {
  const candidates = candidatesOf(facts)
  return candidates.length > 0 && candidates.every(({ honours_pauses }) => honours_pauses === false)
}

const ignoredPause = (facts: JobFacts): Pause | undefined =>
  facts.job.finished_at === null && isIgnored(facts) ? pauseOfJob(facts) : undefined

/** What the network and the server take is below. */
const SKEW_MS = 3_000

const clockAheadSeconds = ({ clockAheadMs }: JobFacts): number | null =>
  Math.abs(clockAheadMs) < SKEW_MS ? null : Math.round(clockAheadMs / 1000)

const isFuture = (job: JobSituation): boolean => startOf(job).getTime() > job.now_ms

const startOf = ({ scheduled_at, created_at }: JobSituation): Date => timeOf(scheduled_at ?? created_at)

const errorOf = ({ error }: JobSituation): string => error?.trim() ?? ''

const attemptsOf = ({ executions_count }: JobSituation): number => executions_count ?? 0

const LAST_MS = 8.64e15

/** A column may hold infinity, which no Date does. */
const timeOf = (text: string): Date => {
  if (text.endsWith('infinity')) return new Date(text.startsWith('-') ? -LAST_MS : LAST_MS)
  return new Date(text)
}
