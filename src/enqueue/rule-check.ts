import { ConcurrencyExceededError, ConfigurationError, ThrottleExceededError } from '../errors.ts'
import { events } from '../events.ts'
import type { Job } from '../job/base.ts'
import { type EnqueueRule, enqueueRulesOf, hasEnqueueRules, keyOfNewJob } from '../job/concurrency/evaluation.ts'
import { ALL_JOBS, keyScope, labelScope, type Scope } from '../job/concurrency/scopes.ts'
import { jobEvent } from '../job/job-event.ts'
import { countScopes, type ScopeCount } from '../sql/concurrency/enqueue.ts'
import { lockScopes } from '../sql/concurrency/scope-locks.ts'
import type { Queryable } from '../sql/connection/queryable.ts'
import type { Facts } from '../sql/database.ts'
import { seesCommits } from '../sql/transaction/read-committed.ts'
import type { Clock } from '../time.ts'

/** A job that is about to be enqueued, and the rules that apply to it. */
export interface RuledJob {
  readonly job: Job
  readonly rules: readonly EnqueueRule[]
}

/** Evaluates the rules of a job. Throws what its functions throw. */
export const ruledJob = (job: Job): RuledJob => ({
  job,
  rules: hasEnqueueRules(job.jobConstructor) ? enqueueRulesOf(job) : [],
})

export interface RuleCheckOptions {
  readonly clock: Clock
  /** Whether the transaction is the caller's. */
  readonly isCallers: boolean
  /** Whether the transaction has the locks of the scopes already. @default false */
  readonly isLocked?: boolean
}

/** The jobs that must not be enqueued, and why. */
export type Refusals = ReadonlyMap<Job, ConcurrencyExceededError>

const NO_REFUSALS: Refusals = new Map()

/**
 * Locks the scopes of the rules until the end of the transaction, and decides in the order of the list which of the jobs exceed a limit. The
 * transaction then inserts the other jobs, so the next session that gets the locks counts them. GoodJob releases its lock before the
 * insert, so two processes of Ruby may both insert. GoodJob 4.23.1 concurrency.rb#check_enqueue.
 * @throws ConfigurationError in a transaction of the caller that is not READ COMMITTED
 */
export const checkRules = async (
  db: Queryable,
  facts: Facts,
  jobs: readonly RuledJob[],
  { clock, isCallers, isLocked = false }: RuleCheckOptions,
): Promise<Refusals> => {
  const scopes = scopesOf(jobs)
  if (scopes.length === 0) return NO_REFUSALS
  if (isCallers) await assertReadCommitted(db, jobs)
  if (!isLocked) await lockScopes(db, scopes)
  const counts = new Map(jobs.flatMap(({ rules }) => rules.flatMap(countsOf)).map((count) => [idOf(count), count]))
  const numbers = await countScopes(db, facts, [...counts.values()], clock.timestamp())
  return decideRefusals(jobs, new Map([...counts.keys()].map((id, index) => [id, numbers[index] ?? 0])))
}

/** The scopes of the rules of these jobs. @throws ConfigurationError for more of them than one transaction should lock */
export const scopesOf = (jobs: readonly RuledJob[]): Scope[] => {
  const scopes = new Map(jobs.flatMap(({ rules }) => rules.map(({ scope }) => [scope.claimKey, scope] as const)))
  assertFewScopes(scopes.size)
  return [...scopes.values()]
}

/** The locks of a transaction share one table with those of all other sessions. By default it has room for 6,400. */
const MAX_SCOPES = 1_000

const assertFewScopes = (scopes: number): void => {
  if (scopes <= MAX_SCOPES) return
  throw new ConfigurationError(
    `the concurrency rules of these jobs need ${scopes} locks in one transaction, more than ${MAX_SCOPES}: enqueue the jobs in portions, ` +
      'in a batch by batch.add(jobs) for each portion and batch.enqueue() at the end',
  )
}

/** At any other level the count would not contain what was committed while the transaction waited for the lock. */
const assertReadCommitted = async (db: Queryable, jobs: readonly RuledJob[]): Promise<void> => {
  if (await seesCommits(db)) return
  const jobClass = jobs.find(({ rules }) => rules.length > 0)?.job.jobClass
  throw new ConfigurationError(
    `${jobClass}: its concurrency rules need a READ COMMITTED transaction, but yours is REPEATABLE READ or SERIALIZABLE, and would count the ` +
      'jobs as they were when it began. Begin it with BEGIN ISOLATION LEVEL READ COMMITTED, or enqueue the job outside of it',
  )
}

const countsOf = (rule: EnqueueRule): ScopeCount[] => [
  ...(rule.limit === null ? [] : [limitCount(rule)]),
  ...(rule.throttle === null ? [] : [throttleCount(rule.scope, rule.throttle.seconds)]),
]

const limitCount = ({ scope, excludesRunning }: EnqueueRule): ScopeCount => ({
  scope,
  kind: excludesRunning ? 'waiting' : 'unfinished',
})

const throttleCount = (scope: Scope, seconds: number): ScopeCount => ({ scope, kind: 'created', seconds })

const idOf = (count: ScopeCount): string =>
  `${count.kind} ${count.kind === 'created' ? count.seconds : ''} ${count.scope.claimKey}`

/** Decides by the numbers of jobs that exist; an accepted job counts for those after it. */
const decideRefusals = (jobs: readonly RuledJob[], numbers: ReadonlyMap<string, number>): Refusals => {
  const refusals = new Map<Job, ConcurrencyExceededError>()
  const added = new Map<string, number>()
  for (const { job, rules } of jobs) {
    const refusal = rules.map((rule) => refusalOf(job, rule, (count) => numberOf(count, numbers, added))).find(Boolean)
    if (refusal) refusals.set(job, refusal)
    else for (const key of claimKeysOf(job)) added.set(key, (added.get(key) ?? 0) + 1)
  }
  return refusals
}

const numberOf = (
  count: ScopeCount,
  numbers: ReadonlyMap<string, number>,
  added: ReadonlyMap<string, number>,
): number => (numbers.get(idOf(count)) ?? 0) + (added.get(count.scope.claimKey) ?? 0)

/** The scopes that will count this job, whichever rules its own class has. */
const claimKeysOf = (job: Job): string[] => {
  const key = keyOfNewJob(job)
  const scopes = [ALL_JOBS, ...(key === null ? [] : [keyScope(key)]), ...job.labels.map(labelScope)]
  return scopes.map(({ claimKey }) => claimKey)
}

const refusalOf = (
  job: Job,
  rule: EnqueueRule,
  number: (count: ScopeCount) => number,
): ConcurrencyExceededError | undefined => {
  const { scope, limit, throttle } = rule
  const key = scope.claimKey
  if (limit !== null && number(limitCount(rule)) + 1 > limit) {
    return new ConcurrencyExceededError(
      `${job.jobClass} was not enqueued: the limit of ${limit} for ${shown(key)} is reached`,
      {
        key,
        limit,
      },
    )
  }
  if (throttle === null || number(throttleCount(scope, throttle.seconds)) + 1 <= throttle.count) return undefined
  const { count, seconds } = throttle
  return new ThrottleExceededError(
    `${job.jobClass} was not enqueued: the throttle of ${count} within ${seconds} seconds for ${shown(key)} is used up`,
    { key, limit: count },
  )
}

/** Records in jobs that rules refused them, and emits it. */
export const markRefused = (refusals: Refusals, options: { readonly isCallers: boolean }): void => {
  for (const [job, refusal] of refusals) {
    Object.assign(job, { successfullyEnqueued: false, enqueueError: refusal })
    announceRefusal(job, refusal, options)
  }
}

const SHOWN_LENGTH = 100

const shown = (key: string): string => (key.length <= SHOWN_LENGTH ? key : `${key.slice(0, SHOWN_LENGTH)}…`)

/** Emits that a rule refused a job. */
export const announceRefusal = (
  job: Job,
  refusal: ConcurrencyExceededError,
  { isCallers }: { readonly isCallers: boolean },
) => {
  const { key = '', limit = 0 } = refusal
  const event = { ...jobEvent(job), key, limit, ...(isCallers ? { isInTransaction: true as const } : {}) }
  if (refusal instanceof ThrottleExceededError) events.emit('enqueue_concurrency_throttle_exceeded', event)
  else events.emit('enqueue_concurrency_limit_exceeded', event)
}
