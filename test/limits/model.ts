import { Census } from '../../src/perform/limits/decision.ts'
import { isShown, scopesOfRow } from '../../src/perform/limits/gate.ts'
import type { Candidate } from '../../src/perform/limits/rule-book.ts'
import { StartOrder } from '../../src/perform/limits/start-order.ts'
import { WaitingList } from '../../src/perform/limits/waiting-list.ts'
import type { FullScopes, LimitedRow } from '../../src/sql/concurrency/limited.ts'

/** A generator of numbers below `end`, the same for each seed (mulberry32). */
export const randomOf = (seed: number): ((end: number) => number) => {
  let state = seed
  return (end) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % end
  }
}

const isLeftOut = ({ id, job_class, labels, concurrency_key }: LimitedRow, full: FullScopes): boolean =>
  full.jobIds.includes(id) ||
  full.jobClasses.includes(job_class) ||
  full.keys.some(([jobClass, key]) => jobClass === job_class && key === concurrency_key) ||
  full.labels.some(([jobClass, label]) => jobClass === job_class && (labels?.includes(label) ?? false))

/** The jobs of a database and the loop of one pool, without SQL: what a claim, a reading and a count would return is computed here. */
export class Model {
  readonly list: WaitingList
  readonly waiting = new Map<string, Candidate>()
  readonly running = new Map<string, Candidate>()
  readonly #order = new StartOrder({ kind: 'all' }, 'created_at')
  readonly #random: (end: number) => number
  #mayHaveWork = true
  #time = 0

  constructor(random: (end: number) => number) {
    this.#random = random
    this.list = new WaitingList(this.#order)
  }

  enqueue(job: Candidate): void {
    this.waiting.set(job.row.id, job)
    this.wake()
  }

  wake(): void {
    this.#mayHaveWork = true
    this.list.expectNewJobs()
    for (const claimKey of this.list.counting) this.list.free(claimKey)
    for (const { claimKey, limit, waitsForPlace } of this.list.closed) {
      if (waitsForPlace && this.#runningIn(claimKey) < (limit ?? 0)) this.list.free(claimKey)
    }
  }

  finish(id: string): void {
    const job = this.running.get(id)
    this.running.delete(id)
    if (job === undefined) return
    for (const { scope } of job.rules) this.list.free(scope.claimKey)
    for (const claimKey of scopesOfRow(job.row)) this.list.free(claimKey)
  }

  /** Another process starts a job, or ends one of its own without a message. */
  startElsewhere(id: string): void {
    const job = this.waiting.get(id)
    if (job === undefined || !this.isAdmissible(job)) return
    this.waiting.delete(id)
    this.running.set(id, job)
  }

  /** Whether the rules of the job let it start now. */
  isAdmissible({ rules }: Candidate): boolean {
    return rules.every(({ scope, limit }) => limit === null || this.#runningIn(scope.claimKey) < limit)
  }

  /** What a pool does until it has to wait. */
  run(slots: number): void {
    for (let turns = 0; this.list.hasFree || this.#mayHaveWork; turns++) {
      if (turns > 10_000) throw new Error('the loop does not end')
      this.#time += 1
      if (!this.list.hasFree || this.#random(3) === 0) this.#claim(slots)
      else this.#takeWaiting(slots)
    }
  }

  #claim(slots: number): void {
    this.list.forgetFree()
    const { exclusions } = this.list
    const rows = this.#due(({ row }) => !isLeftOut(row, exclusions)).slice(0, slots)
    this.#mayHaveWork = rows.length === slots
    this.#admit(rows)
  }

  #takeWaiting(slots: number): void {
    const reading = this.list.beginReading(this.#time, true)
    const { readExclusions } = this.list
    const perScope = 1 + this.#random(4)
    for (const { claimKey, jobClasses } of reading.scopes) {
      const isWanted = ({ row }: Candidate) => isShown(row, claimKey) && jobClasses.includes(row.job_class)
      const found = this.#due((job) => isWanted(job) && !isLeftOut(job.row, readExclusions)).slice(0, perScope)
      this.list.add(claimKey, found, reading, found.length < perScope)
    }
    const taken = this.list.take(slots)
    if (this.list.takeLeftOutSince() !== undefined) this.#mayHaveWork = true
    if (taken.length > 0) this.#admit(taken)
  }

  #admit(candidates: readonly Candidate[]): void {
    const census = new Census(candidates, new Date(0))
    const running = new Map(census.scopes.map(({ claimKey }) => [claimKey, this.#runningIn(claimKey)]))
    const { admitted, refused } = census.decide(candidates, { running, starts: new Map(), busy: new Set() })
    this.list.refuse(refused)
    const gone = admitted.filter(({ row }) => !this.waiting.delete(row.id))
    for (const job of admitted) if (!gone.includes(job)) this.running.set(job.row.id, job)
    this.list.skip(gone, { untilMs: Number.MAX_SAFE_INTEGER, nowMs: this.#time })
  }

  #due(matches: (job: Candidate) => boolean): Candidate[] {
    return [...this.waiting.values()].filter(matches).sort((a, b) => this.#order.compare(a.row, b.row))
  }

  #runningIn(claimKey: string): number {
    return [...this.running.values()].filter(({ row }) => isShown(row, claimKey)).length
  }
}
