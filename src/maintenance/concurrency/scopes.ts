import type { EnqueueAdapter } from '../../enqueue/adapter.ts'
import { isCancelled } from '../../errors.ts'
import type { PublishedRule } from '../../job/concurrency/published.ts'
import { countRunning } from '../../sql/concurrency/admission.ts'
import {
  type ClaimedJob,
  findHolders,
  findUngrantedClaims,
  findWaitingInScope,
  type Holder,
  type NextJob,
} from '../../sql/concurrency/scope-jobs.ts'
import { type ClaimCounts, countClaims, findUsedScopes, type UsedScopes } from '../../sql/concurrency/usage.ts'
import { listProcesses } from '../../sql/process/list.ts'
import { boundedRead } from '../../sql/transaction/bounded-read.ts'
import { columnText } from '../../time.ts'
import { type WorkerProcess, workerProcess } from '../worker-processes.ts'
import { knownRules, rulesOfScope, type SeenScope, scopeOfRule } from './known-rules.ts'
import { countThrottles, throttledUntil } from './throttles.ts'

/** A scope, and what is known of its rules. */
export interface ScopeUse {
  /** `label:<label>`, `key:<key>` or `all`. */
  readonly key: string
  readonly running: number
  /** Due jobs that no process has. */
  readonly waiting: number
  readonly rules: readonly PublishedRule[]
  /** When its throttles allow the next start, if not now. */
  readonly throttledUntil: Date | null
  /** Null without a claim. */
  readonly claims: Omit<ClaimCounts, 'key'> | null
}

export interface ScopeList {
  readonly scopes: readonly ScopeUse[]
  readonly hasMore: boolean
  /** Further jobs wait: the numbers of waiting jobs are minimums. */
  readonly isCapped: boolean
  /** Whether the starts of throttles could be counted in time. */
  readonly throttlesCounted: boolean
}

const READ = { timeoutMs: 5_000 }
/** Counting the starts of throttles may take long, and the rest is of use without it. */
const THROTTLES = { timeoutMs: 1_000 }
const PROCESSES = 1_000
/** Waiting jobs that are read: of all scopes, and of one. */
const MAX_WAITING = 100_000
const MAX_WAITING_IN_SCOPE = 20_000
/** Claims and scopes that are read. */
const MAX_CLAIMS = 100_000
const MAX_SCOPES = 1_000

export interface ScopeOptions {
  readonly limit: number
  /** Rules that no process has published. */
  readonly rules: readonly PublishedRule[]
}

/** The scopes in use: those of unfinished jobs, of claims and of the known rules. */
export const listScopes = async (adapter: EnqueueAdapter, { limit, rules: more }: ScopeOptions): Promise<ScopeList> => {
  const { database, clock } = adapter
  const facts = await database.facts()
  const now = clock.now()
  const found = await boundedRead(database, READ, async (db) => {
    const rules = knownRules((await listProcesses(db, facts, PROCESSES)).map(workerProcess), more)
    const claims = await countClaims(db, facts, { maxClaims: MAX_CLAIMS, limit: MAX_SCOPES })
    const labels = labelsOf([...rules.map((rule) => scopeOfRule(rule) ?? ''), ...claims.map(({ key }) => key)])
    const options = { now: columnText(now), maxWaiting: MAX_WAITING, limit: MAX_SCOPES, labels }
    const used = await findUsedScopes(db, facts, options)
    const seen = scopesInUse({ rules, claims, used })
    const running = await countRunning(
      db,
      facts,
      seen.map(({ claimKey }) => claimKey),
    )
    return { used, seen, running }
  })
  const scopes = found.seen
    .map((scope) => ({ ...scope, running: found.running.get(scope.claimKey) ?? 0 }))
    .sort((a, b) => b.waiting - a.waiting || b.running - a.running || (a.claimKey < b.claimKey ? -1 : 1))
    .slice(0, limit)
  const throttles = await readThrottles(adapter, scopes, now)
  return {
    scopes: scopes.map(({ claimKey: key, running, waiting, rules, claims }) => ({
      key,
      running,
      waiting,
      rules,
      throttledUntil: throttledUntil(throttles ?? [], key),
      claims,
    })),
    hasMore: found.used.hasMore || found.seen.length > limit,
    isCapped: found.used.isCapped,
    throttlesCounted: throttles !== undefined,
  }
}

const labelsOf = (claimKeys: readonly string[]): string[] => [
  ...new Set(claimKeys.flatMap((key) => (key.startsWith('label:') ? key.slice('label:'.length) : []))),
]

interface ScopeInUse extends SeenScope {
  readonly waiting: number
  readonly rules: readonly PublishedRule[]
  readonly claims: Omit<ClaimCounts, 'key'> | null
}

const scopesInUse = ({
  rules,
  claims,
  used,
}: {
  readonly rules: readonly PublishedRule[]
  readonly claims: readonly ClaimCounts[]
  readonly used: UsedScopes
}): ScopeInUse[] => {
  const claimsOf = new Map(claims.map(({ key, ...counts }) => [key, counts]))
  const usedOf = new Map(used.scopes.map((scope) => [scope.claimKey, scope]))
  const claimKeys = new Set([...usedOf.keys(), ...claimsOf.keys(), ...rules.flatMap((rule) => scopeOfRule(rule) ?? [])])
  const published = new Set(rules.map(({ job_class }) => job_class))
  return [...claimKeys].flatMap((claimKey) => {
    const { waiting = 0, jobClasses = [] } = usedOf.get(claimKey) ?? {}
    const counts = claimsOf.get(claimKey) ?? null
    const seen = { claimKey, jobClasses, isClaimed: counts !== null }
    const own = rulesOfScope(rules, seen)
    // GoodJob stores the name of the class as the key of each job with rules, also if the rules count something else.
    const mayCount = claimKey !== 'all' && jobClasses.some((name) => !published.has(name))
    return own.length > 0 || counts !== null || mayCount ? [{ ...seen, waiting, rules: own, claims: counts }] : []
  })
}

/** Undefined if the starts could not be counted in time. */
const readThrottles = async (
  { database }: EnqueueAdapter,
  scopes: readonly { readonly claimKey: string; readonly rules: readonly PublishedRule[] }[],
  now: Date,
) => {
  const rules = scopes.flatMap(({ claimKey, rules }) => rules.map((rule) => ({ claimKey, rule })))
  const facts = await database.facts()
  try {
    return await boundedRead(database, THROTTLES, (db) => countThrottles(db, facts, rules, now))
  } catch (error) {
    if (!isCancelled(error)) throw error
    return undefined
  }
}

/** A job that runs in a scope, with its process. */
export interface ShownHolder extends Omit<Holder, 'claim_key'> {
  readonly process: Pick<WorkerProcess, 'hostname' | 'pid'> | null
}

/** Everything about one scope. */
export interface ShownScope extends ScopeUse {
  readonly isCapped: boolean
  readonly throttlesCounted: boolean
  /** Its running jobs, those that began first first. */
  readonly holders: readonly ShownHolder[]
  /** Its due jobs, in the order in which workers start them. */
  readonly next: readonly NextJob[]
  /** Jobs that a Ruby worker refused, in the order in which it promotes them. */
  readonly refused: readonly ClaimedJob[]
}

/** The jobs that run in a scope, and those that are next. */
export const showScope = async (
  adapter: EnqueueAdapter,
  key: string,
  { limit, rules: more }: ScopeOptions,
): Promise<ShownScope> => {
  const { database, clock } = adapter
  const facts = await database.facts()
  const now = clock.now()
  const found = await boundedRead(database, READ, async (db) => {
    const processes = (await listProcesses(db, facts, PROCESSES)).map(workerProcess)
    const options = { now: columnText(now), limit, maxWaiting: MAX_WAITING_IN_SCOPE }
    return {
      processes,
      rules: knownRules(processes, more),
      running: (await countRunning(db, facts, [key])).get(key) ?? 0,
      holders: await findHolders(db, facts, [key], limit),
      claims: await countClaims(db, facts, { maxClaims: MAX_CLAIMS, limit: 1, key }),
      refused: await findUngrantedClaims(db, facts, key, limit),
      ...(await findWaitingInScope(db, facts, key, options)),
    }
  })
  const { processes, holders, rules: known, claims, ...rest } = found
  const jobClasses = [...holders, ...rest.next].flatMap(({ job_class }) => job_class ?? [])
  const rules = rulesOfScope(known, { claimKey: key, jobClasses, isClaimed: claims.length > 0 })
  const throttles = await readThrottles(adapter, [{ claimKey: key, rules }], now)
  const { key: _key, ...counts } = claims[0] ?? { key, granted: 0, waiting: 0, promoted: 0 }
  return {
    ...rest,
    key,
    rules,
    claims: claims.length > 0 ? counts : null,
    throttledUntil: throttledUntil(throttles ?? [], key),
    throttlesCounted: throttles !== undefined,
    holders: holders.map((holder) => shownHolder(holder, processes)),
  }
}

const shownHolder = ({ claim_key: _key, ...holder }: Holder, processes: readonly WorkerProcess[]): ShownHolder => {
  const process = processes.find(({ id }) => id === holder.locked_by_id)
  return { ...holder, process: process ? { hostname: process.hostname, pid: process.pid } : null }
}
