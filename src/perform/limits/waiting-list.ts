import type { CandidateOptions, Position, QueueSelector } from '../../sql/claim/candidates.ts'
import type { FullScopes, LimitedRow } from '../../sql/concurrency/limited.ts'
import { splitClaimKey } from '../../sql/concurrency/scope.ts'
import type { Refusal } from './decision.ts'
import type { Candidate } from './rule-book.ts'

/** A job that was due and free, but could not be started, is not tried again for this long, milliseconds. */
const TAKEN_MS = 1_000
/** Of the jobs that one claim returned, at least this share of a scope makes it a dense one. */
const DENSE_SHARE = 0.5

/** A scope without a place. Its jobs are left out of claims; the first of them are known. */
interface FullScope {
  readonly claimKey: string
  /** In the order in which they start. */
  readonly jobs: Candidate[]
  readonly jobClasses: Set<string>
  /** A place may be free. */
  isFree: boolean
  /** When a throttle allows the next start, epoch milliseconds. */
  opensAtMs: number
  /** More jobs may wait than are known. */
  hasMore: boolean
  /** Many jobs at the head of the queue belong to the scope. */
  isDense: boolean
  /** The largest limit that refused a job. */
  limit: number
  /** When its jobs were read, monotonic milliseconds; minus infinity: never. */
  readMs: number
}

/** The jobs of one pool that wait for a place, by the scope that is full. It sends no statement. */
export class WaitingList {
  readonly #scopes = new Map<string, FullScope>()
  readonly #scopeOfJob = new Map<string, string>()
  /** When the jobs of scopes that were closed since had been read, monotonic milliseconds. */
  #closedSinceMs = Number.POSITIVE_INFINITY
  /** Jobs that another session seems to hold, and until when they are left out. */
  readonly #taken = new Map<string, number>()
  /** Scopes whose places are counted just now, and those of them in which a place became free since. */
  readonly #counting = new Map<string, { freed: boolean; count: number }>()
  readonly #compare: (a: LimitedRow, b: LimitedRow) => number
  readonly #rank: (row: LimitedRow) => Rank

  constructor(selector: QueueSelector, sort: CandidateOptions['sort']) {
    this.#rank = rankOf(selector, sort)
    this.#compare = (a, b) => compareRanks(this.#rank(a), this.#rank(b))
  }

  get size(): number {
    return this.#scopes.size
  }

  /** Whether a scope that was full may have a place. */
  get hasFree(): boolean {
    for (const { isFree } of this.#scopes.values()) if (isFree) return true
    return false
  }

  get knownIds(): string[] {
    return [...this.#scopeOfJob.keys(), ...this.#taken.keys()]
  }

  /** When the next throttle allows a start, epoch milliseconds; infinite if none does. */
  get opensAtMs(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { opensAtMs, isFree } of this.#scopes.values()) if (!isFree) first = Math.min(first, opensAtMs)
    return first
  }

  /** Scopes that wait for the end of a job, and the largest limit among their jobs. */
  get full(): readonly { readonly claimKey: string; readonly limit: number }[] {
    return [...this.#scopes.values()].filter(
      ({ isFree, opensAtMs }) => !isFree && opensAtMs === Number.POSITIVE_INFINITY,
    )
  }

  /** A place of this scope may be free. */
  free(claimKey: string): void {
    const scope = this.#scopes.get(claimKey)
    if (scope) scope.isFree = true
    const counting = this.#counting.get(claimKey)
    if (counting) counting.freed = true
  }

  /** Opens the throttles whose time has come, and forgets which jobs other sessions held. */
  passTime(nowMs: number): void {
    for (const scope of this.#scopes.values()) {
      if (scope.opensAtMs <= nowMs) Object.assign(scope, { isFree: true, opensAtMs: Number.POSITIVE_INFINITY })
    }
    for (const [id, untilMs] of this.#taken) if (untilMs <= nowMs) this.#taken.delete(id)
  }

  /** Scopes whose places are counted just now. */
  get counting(): readonly string[] {
    return [...this.#counting.keys()]
  }

  /** New jobs may have come, with a higher priority than those that are known. */
  expectNewJobs(): void {
    for (const scope of this.#scopes.values()) scope.hasMore = true
  }

  /** The places of these scopes are being counted: one that becomes free from now on may be missing in the count. */
  beginCount(claimKeys: Iterable<string>): void {
    for (const claimKey of claimKeys) {
      const counting = this.#counting.get(claimKey) ?? { freed: false, count: 0 }
      counting.count += 1
      this.#counting.set(claimKey, counting)
    }
  }

  endCount(claimKeys: Iterable<string>): void {
    for (const claimKey of claimKeys) {
      const counting = this.#counting.get(claimKey)
      if (counting && --counting.count === 0) this.#counting.delete(claimKey)
    }
  }

  /** Takes note of jobs without a place. */
  refuse(refusals: readonly Refusal[]): void {
    const refused = new Map<string, number>()
    for (const { candidate, claimKey, opensAtMs } of refusals) {
      refused.set(claimKey, (refused.get(claimKey) ?? 0) + 1)
      const scope = this.#scopes.get(claimKey) ?? this.#open(claimKey)
      scope.isFree = this.#counting.get(claimKey)?.freed ?? false
      scope.opensAtMs = opensAtMs ?? Number.POSITIVE_INFINITY
      scope.limit = Math.max(scope.limit, ...candidate.rules.map(({ limit }) => limit ?? 0))
      this.#add(scope, candidate)
    }
    for (const [claimKey, count] of refused) {
      const scope = this.#scopes.get(claimKey)
      if (scope) scope.isDense ||= count > 1 && count >= refusals.length * DENSE_SHARE
    }
  }

  /** These jobs were due and had a place, but another session holds them, or they are gone. */
  skip(candidates: readonly Candidate[], nowMs: number): void {
    for (const { row } of candidates) this.#taken.set(row.id, nowMs + TAKEN_MS)
  }

  /** Scopes with a free place of which no waiting job is known. */
  get toRead(): { readonly claimKey: string; readonly isDense: boolean }[] {
    return [...this.#scopes.values()].filter(({ isFree, jobs, hasMore }) => isFree && hasMore && jobs.length === 0)
  }

  /** Adds the jobs that were read for a scope at `readMs`; `isAll` if those are all that waited then. */
  add(claimKey: string, candidates: readonly Candidate[], { isAll, readMs }: { isAll: boolean; readMs: number }): void {
    const scope = this.#scopes.get(claimKey)
    if (scope === undefined) return
    Object.assign(scope, { hasMore: !isAll, readMs })
    scope.isDense = !isAll && scope.isDense
    for (const candidate of candidates) if (!this.#scopeOfJob.has(candidate.row.id)) this.#add(scope, candidate)
    if (scope.isFree && scope.jobs.length === 0 && isAll) this.#closeEmpty(scope)
  }

  /** Takes up to `limit` jobs of scopes with a free place, in the order in which they start; only those before `end`, if given. */
  take(limit: number, end?: Position): Candidate[] {
    const free = [...this.#scopes.values()].filter(({ isFree }) => isFree)
    const found = free.flatMap(({ jobs }) => jobs.slice(0, limit))
    found.sort((a, b) => this.#compare(a.row, b.row))
    const last = end && this.#rank(rowAt(end))
    const taken = found
      .slice(0, limit)
      .filter(({ row }) => last === undefined || compareRanks(this.#rank(row), last) <= 0)
    for (const { row } of taken) this.#remove(row.id)
    for (const scope of free) if (scope.jobs.length === 0 && !scope.hasMore) this.#closeEmpty(scope)
    return taken
  }

  /**
   * Claims do not leave out the jobs of closed scopes any more. Returns the time since which they may have left out new ones; undefined
   * if no scope was closed.
   */
  takeClosedSince(): number | undefined {
    const sinceMs = this.#closedSinceMs
    this.#closedSinceMs = Number.POSITIVE_INFINITY
    return Number.isFinite(sinceMs) ? sinceMs : undefined
  }

  /** Gives up the scopes with a free place: the next claim begins at the head and finds their jobs in the order of all jobs. */
  forgetFree(): void {
    for (const scope of [...this.#scopes.values()]) if (scope.isFree) this.#close(scope)
  }

  /** What a claim leaves out. */
  get exclusions(): FullScopes {
    const labels: [string, string][] = []
    const keys: [string, string][] = []
    const jobClasses: string[] = []
    const jobIds = [...this.#taken.keys()]
    for (const { claimKey, jobClasses: classes, jobs } of this.#scopes.values()) {
      const { kind, value } = splitClaimKey(claimKey)
      for (const jobClass of classes) {
        if (kind === 'label') labels.push([jobClass, value])
        else if (kind === 'key') keys.push([jobClass, value])
        else jobClasses.push(jobClass)
      }
      for (const { row } of jobs) if (!shows(row, kind, value)) jobIds.push(row.id)
    }
    return { labels, keys, jobClasses, jobIds }
  }

  #open(claimKey: string): FullScope {
    const scope: FullScope = {
      claimKey,
      jobs: [],
      jobClasses: new Set(),
      isFree: false,
      opensAtMs: Number.POSITIVE_INFINITY,
      hasMore: true,
      isDense: false,
      limit: 0,
      readMs: Number.NEGATIVE_INFINITY,
    }
    this.#scopes.set(claimKey, scope)
    return scope
  }

  #closeEmpty(scope: FullScope): void {
    this.#closedSinceMs = Math.min(this.#closedSinceMs, scope.readMs)
    this.#close(scope)
  }

  #close(scope: FullScope): void {
    for (const { row } of scope.jobs) this.#scopeOfJob.delete(row.id)
    this.#scopes.delete(scope.claimKey)
  }

  #add(scope: FullScope, candidate: Candidate): void {
    const { row } = candidate
    this.#remove(row.id)
    scope.jobClasses.add(row.job_class)
    this.#scopeOfJob.set(row.id, scope.claimKey)
    const after = scope.jobs.findLastIndex((other) => this.#compare(other.row, row) <= 0)
    scope.jobs.splice(after + 1, 0, candidate)
  }

  #remove(id: string): void {
    const scope = this.#scopes.get(this.#scopeOfJob.get(id) ?? '')
    this.#scopeOfJob.delete(id)
    const index = scope?.jobs.findIndex(({ row }) => row.id === id) ?? -1
    if (scope && index >= 0) scope.jobs.splice(index, 1)
  }
}

/** Whether the columns of a row show that the scope counts it. */
const shows = ({ labels, concurrency_key }: LimitedRow, kind: string, value: string): boolean => {
  if (kind === 'label') return labels?.includes(value) ?? false
  return kind === 'key' ? concurrency_key === value : true
}

type Rank = readonly (number | string)[]

/** The order of sql/claim/candidates.ts. */
const rankOf = (selector: QueueSelector, sort: CandidateOptions['sort']): ((row: LimitedRow) => Rank) => {
  const order = selector.kind === 'include' && selector.isOrdered ? selector.queues : []
  return (row) => [
    order.length === 0 ? 0 : order.indexOf(row.queue_name ?? ''),
    row.priority ?? Number.POSITIVE_INFINITY,
    // Without the final Z, texts with fewer digits of a second sort before those with more.
    ((sort === 'created_at' ? row.created_at : row.scheduled_at) ?? '').replace('Z', ''),
    sort === 'created_at' ? '' : row.id,
  ]
}

const compareRanks = (a: Rank, b: Rank): number => {
  for (const [index, part] of a.entries()) {
    const other = b[index] ?? ''
    if (part < other) return -1
    if (part > other) return 1
  }
  return 0
}

const rowAt = ({ queueName, priority, at }: Position): LimitedRow => ({
  id: '\uffff',
  job_class: '',
  queue_name: queueName,
  priority,
  serialized_params: null,
  labels: null,
  concurrency_key: null,
  created_at: at,
  scheduled_at: at,
})
