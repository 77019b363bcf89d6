import type { PerformRule } from '../../job/concurrency/evaluation.ts'
import type { Position } from '../../sql/claim/candidates.ts'
import type { FullScopes } from '../../sql/concurrency/limited.ts'
import { splitClaimKey } from '../../sql/concurrency/scope.ts'
import type { WaitingScope } from '../../sql/concurrency/waiting.ts'
import type { Refusal } from './decision.ts'
import { type Gate, gateIdOf, isShown, newGate, scopesOfRow } from './gate.ts'
import type { Candidate } from './rule-book.ts'
import { SkippedJobs } from './skipped-jobs.ts'
import type { StartOrder } from './start-order.ts'

/** Of the jobs that one claim returned, at least this share behind a gate makes it a dense one. */
const DENSE_SHARE = 0.5

/** A reading of the jobs that wait in some scopes. */
export interface Reading {
  readonly scopes: readonly WaitingScope[]
  /** When it began, monotonic milliseconds. */
  readonly beganMs: number
  /** The number of wake-ups by then. */
  readonly wakes: number
}

/** The jobs of one pool that wait for a place. Claims leave them out; the first of them are known. It sends no statement. */
export class WaitingList {
  readonly #order: StartOrder
  readonly #gates = new Map<string, Gate>()
  readonly #gatesOfScope = new Map<string, Set<Gate>>()
  readonly #gateOfJob = new Map<string, Gate>()
  readonly #free = new Set<Gate>()
  /** Gates whose throttle opens by itself. */
  readonly #timed = new Set<Gate>()
  readonly #skipped = new SkippedJobs()
  /** Claims may have left out jobs since then that nothing leaves out any more, monotonic milliseconds. */
  #leftOutSinceMs = Number.POSITIVE_INFINITY
  /** Scopes whose places are counted just now, and those of them in which a place became free since. */
  readonly #counting = new Map<string, { freed: boolean; count: number }>()
  #wakes = 0

  constructor(order: StartOrder) {
    this.#order = order
  }

  /** Whether jobs wait for a place in this scope. */
  readonly has = (claimKey: string): boolean => this.#gatesOfScope.has(claimKey)

  get size(): number {
    return this.#gates.size
  }

  /** Whether a job that waits may have a place, or claims have left out jobs that nothing leaves out any more. */
  get hasFree(): boolean {
    return this.#free.size > 0 || this.#leftOutSinceMs < Number.POSITIVE_INFINITY
  }

  /** When time alone allows a job to be tried again, epoch milliseconds; infinite if it does not. */
  get opensAtMs(): number {
    let first = this.#skipped.endsAtMs
    for (const { opensAtMs } of this.#timed) first = Math.min(first, opensAtMs)
    return first
  }

  /** Where jobs wait although no place is known to be free. */
  get closed(): readonly Gate[] {
    return [...this.#gates.values()].filter(({ isFree }) => !isFree)
  }

  /** Scopes whose places are counted just now. */
  get counting(): readonly string[] {
    return [...this.#counting.keys()]
  }

  /** A place of this scope may be free. */
  free(claimKey: string): void {
    for (const gate of this.#gatesOfScope.get(claimKey) ?? []) this.#setFree(gate, true)
    const counting = this.#counting.get(claimKey)
    if (counting) counting.freed = true
  }

  /** Opens the throttles whose time has come, and lets claims find the jobs again that could not be started. */
  passTime(nowMs: number): void {
    for (const gate of this.#timed) if (gate.opensAtMs <= nowMs) this.#setFree(gate, true)
    this.#leaveOutSince(this.#skipped.passTime(nowMs))
  }

  /** New jobs may have come, with a higher priority than those that are known. */
  expectNewJobs(): void {
    this.#wakes += 1
    for (const gate of this.#gates.values()) Object.assign(gate, { hasMore: true, isStale: true })
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
    const refused = new Map<Gate, Refusal[]>()
    for (const refusal of refusals) {
      const gate = this.#gates.get(gateIdOf(refusal.rule)) ?? this.#open(refusal.rule)
      const own = refused.get(gate)
      if (own) own.push(refusal)
      else refused.set(gate, [refusal])
      this.#add(gate, refusal.candidate)
    }
    for (const [gate, own] of refused) {
      gate.waitsForPlace = own.some(({ opensAtMs }) => opensAtMs === undefined)
      gate.opensAtMs = Math.min(...own.map(({ opensAtMs = Number.POSITIVE_INFINITY }) => opensAtMs))
      this.#setFree(gate, this.#counting.get(gate.claimKey)?.freed ?? false)
      gate.isDense ||= own.length > 1 && own.length >= refusals.length * DENSE_SHARE
    }
  }

  /** These jobs could not be started, although they had a place: claims leave them out until then. Another job may have the place. */
  skip(candidates: readonly Candidate[], { untilMs, nowMs }: { untilMs: number; nowMs: number }): void {
    for (const { row, rules } of candidates) {
      this.#skipped.add(row.id, { untilMs, sinceMs: nowMs })
      for (const claimKey of new Set([...scopesOfRow(row), ...rules.map(({ scope }) => scope.claimKey)])) {
        this.free(claimKey)
        for (const gate of this.#gatesOfScope.get(claimKey) ?? []) this.#forgetShown(gate)
      }
    }
  }

  /** Begins to read the jobs of scopes with a free place: none is known, or `isRereading` and earlier ones may have come. */
  beginReading(beganMs: number, isRereading: boolean): Reading {
    const scopes = new Map<string, { claimKey: string; isDense: boolean; jobClasses: string[] }>()
    for (const { claimKey, jobs, hasMore, isStale, isDense, jobClasses } of this.#free) {
      const isNeeded = hasMore && (jobs.length === 0 || (isRereading && isStale))
      if (!isNeeded) continue
      const scope = scopes.get(claimKey) ?? { claimKey, isDense: false, jobClasses: [] }
      scopes.set(claimKey, scope)
      scope.isDense ||= isDense
      scope.jobClasses.push(...jobClasses)
    }
    return { scopes: [...scopes.values()], beganMs, wakes: this.#wakes }
  }

  /** Adds the jobs that were read for a scope; `isAll` if those are all that waited then. */
  add(claimKey: string, candidates: readonly Candidate[], { beganMs, wakes }: Reading, isAll: boolean): void {
    const lastKnown = new Map([...(this.#gatesOfScope.get(claimKey) ?? [])].map((gate) => [gate, gate.jobs.at(-1)]))
    const hasNews = wakes !== this.#wakes
    let isCut = false
    for (const candidate of candidates) {
      const gate = this.#gateFor(claimKey, candidate)
      if (gate === undefined || this.#gateOfJob.has(candidate.row.id)) continue
      const last = lastKnown.get(gate)
      // The jobs behind the last one that is known are read when it is their turn.
      if (last !== undefined && this.#order.compare(candidate.row, last.row) > 0) isCut = true
      else this.#add(gate, candidate)
    }
    for (const gate of this.#gatesOfScope.get(claimKey) ?? []) {
      if (!gate.isFree) continue
      const hasMore = !isAll || isCut || hasNews
      Object.assign(gate, { hasMore, isStale: hasNews, readMs: beganMs, isDense: gate.isDense && !isAll })
      this.#closeIfEmpty(gate)
    }
  }

  /** Takes up to `limit` jobs with a free place, in the order in which they start; only those before `end`, if given. */
  take(limit: number, end?: Position): Candidate[] {
    const free = [...this.#free]
    const taken = free
      .flatMap(({ jobs }) => jobs.slice(0, limit))
      .sort((a, b) => this.#order.compare(a.row, b.row))
      .slice(0, limit)
      .filter(({ row }) => end === undefined || this.#order.isWithin(row, end))
    for (const { row } of taken) this.#remove(row.id)
    for (const gate of free) this.#closeIfEmpty(gate)
    return taken
  }

  /** Returns since when claims may have left out jobs that nothing leaves out any more, once; undefined if they have not. */
  takeLeftOutSince(): number | undefined {
    const sinceMs = this.#leftOutSinceMs
    this.#leftOutSinceMs = Number.POSITIVE_INFINITY
    return sinceMs === Number.POSITIVE_INFINITY ? undefined : sinceMs
  }

  /** A claim at the head finds the jobs that may have a place, in the order of all jobs. */
  forgetFree(): void {
    for (const gate of this.#free) this.#close(gate)
    this.#leftOutSinceMs = Number.POSITIVE_INFINITY
  }

  /** What a claim leaves out. */
  get exclusions(): FullScopes {
    return exclusionsOf(this.#gates.values(), this.#skipped.ids)
  }

  /** What a reading of scopes with a free place leaves out: the jobs that are known, and those that lack another place. */
  get readExclusions(): FullScopes {
    const known = [...this.#free].flatMap(({ jobs }) => jobs.map(({ row }) => row.id))
    return exclusionsOf(this.closed, [...this.#skipped.ids, ...known])
  }

  #open(rule: PerformRule): Gate {
    const gate = newGate(rule)
    const others = this.#gatesOfScope.get(gate.claimKey) ?? new Set()
    this.#gates.set(gate.id, gate)
    this.#gatesOfScope.set(gate.claimKey, others.add(gate))
    return gate
  }

  #setFree(gate: Gate, isFree: boolean): void {
    gate.isFree = isFree
    if (isFree) this.#free.add(gate)
    else this.#free.delete(gate)
    if (!isFree && gate.opensAtMs < Number.POSITIVE_INFINITY) this.#timed.add(gate)
    else this.#timed.delete(gate)
  }

  /** The gate at which a job of this scope waits; undefined if no job of the scope waits any more. */
  #gateFor(claimKey: string, { rules }: Candidate): Gate | undefined {
    const gates = this.#gatesOfScope.get(claimKey)
    if (gates === undefined) return undefined
    const own = rules.filter(({ scope }) => scope.claimKey === claimKey)
    const known = own.map((rule) => this.#gates.get(gateIdOf(rule))).find((gate) => gate !== undefined)
    // A job that no rule holds back here may start at once.
    if (known !== undefined || own[0] === undefined) return known ?? [...gates].find(({ isFree }) => isFree)
    const gate = this.#open(own[0])
    this.#setFree(gate, true)
    return gate
  }

  #closeIfEmpty(gate: Gate): void {
    if (!gate.isFree || gate.jobs.length > 0 || gate.hasMore) return
    this.#leaveOutSince(gate.readMs)
    this.#close(gate)
  }

  #close(gate: Gate): void {
    for (const { row } of gate.jobs) this.#gateOfJob.delete(row.id)
    this.#gates.delete(gate.id)
    this.#free.delete(gate)
    this.#timed.delete(gate)
    const others = this.#gatesOfScope.get(gate.claimKey)
    others?.delete(gate)
    if (others?.size === 0) this.#gatesOfScope.delete(gate.claimKey)
  }

  #leaveOutSince(ms: number | undefined): void {
    if (ms !== undefined) this.#leftOutSinceMs = Math.min(this.#leftOutSinceMs, ms)
  }

  /** What is known of the jobs here may be old: they are read again. Jobs that a reading would not find are kept. */
  #forgetShown(gate: Gate): void {
    for (const { row } of [...gate.jobs]) if (isShown(row, gate.claimKey)) this.#remove(row.id)
    gate.hasMore = true
  }

  #add(gate: Gate, candidate: Candidate): void {
    const { row } = candidate
    this.#remove(row.id)
    gate.jobClasses.add(row.job_class)
    this.#gateOfJob.set(row.id, gate)
    const after = gate.jobs.findLastIndex((other) => this.#order.compare(other.row, row) <= 0)
    gate.jobs.splice(after + 1, 0, candidate)
  }

  #remove(id: string): void {
    const gate = this.#gateOfJob.get(id)
    if (gate === undefined) return
    this.#gateOfJob.delete(id)
    gate.jobs.splice(
      gate.jobs.findIndex(({ row }) => row.id === id),
      1,
    )
  }
}

const exclusionsOf = (gates: Iterable<Gate>, ids: readonly string[]): FullScopes => {
  const labels: [string, string][] = []
  const keys: [string, string][] = []
  const jobClasses: string[] = []
  const jobIds = [...ids]
  for (const { claimKey, jobClasses: classes, jobs } of gates) {
    const { kind, value } = splitClaimKey(claimKey)
    for (const jobClass of classes) {
      if (kind === 'label') labels.push([jobClass, value])
      else if (kind === 'key') keys.push([jobClass, value])
      else jobClasses.push(jobClass)
    }
    for (const { row } of jobs) if (!isShown(row, claimKey)) jobIds.push(row.id)
  }
  return { labels, keys, jobClasses, jobIds }
}
