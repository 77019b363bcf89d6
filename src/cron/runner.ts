import { isRetryable } from '../errors.ts'
import { findLastCronRuns } from '../sql/cron/runs.ts'
import { backoffMs, columnText, sleep, Wake } from '../time.ts'
import type { CronEntry } from './entry.ts'
import type { FoundOccurrence } from './expression/cron-expression.ts'
import { CronPartError, inPart, partOf } from './failure.ts'
import { type CronSource, enqueueOccurrence, reportFailure, skip } from './occurrence.ts'
import type { SwitchReader } from './switches.ts'

export interface RunnerOptions {
  readonly entry: CronEntry
  readonly source: CronSource
  readonly switches: SwitchReader
  readonly signal: AbortSignal
}

/** A schedule function that failed is called again after this time. */
const RECOMPUTE_MS = 30_000

/** An occurrence that is awaited, and the time of its calculation. */
interface Armed {
  readonly at: Date
  readonly since: Date
}

/**
 * The loop of one entry: waits for an occurrence, enqueues its job, then calculates the next one. GoodJob calculates the next one first, so
 * there an error of the schedule loses the occurrence and ends the entry. GoodJob 4.23.1 cron_manager.rb#create_task.
 */
export class EntryRunner {
  readonly entry: CronEntry
  readonly source: CronSource
  readonly signal: AbortSignal
  readonly #switches: SwitchReader
  readonly #wake = new Wake()
  /** The instant that was handled last. */
  #previous: Date | undefined

  constructor({ entry, source, signal, switches }: RunnerOptions) {
    this.entry = entry
    this.source = source
    this.signal = signal
    this.#switches = switches
  }

  /** The clock was changed, or the machine was suspended: compare with the clock now. */
  wake(): void {
    this.#wake.wake()
  }

  /** Runs until the signal fires, or until the schedule has no further occurrence. Never rejects. */
  async run(): Promise<void> {
    const { entry, signal, source } = this
    let since = this.#now()
    while (!signal.aborted) {
      const { at, isAfterSkip } = await this.#findNext(since)
      if (signal.aborted) return
      if (isAfterSkip) skip(entry, undefined, source, 'clock_change')
      if (at === undefined) return skip(entry, undefined, source, 'ended')
      const due = await this.#reach({ at, since })
      if (due === undefined) return
      since = this.#now()
      await this.fire(due)
      this.#skipMissed(due, since)
      this.#previous = due
    }
  }

  /** Enqueues the job of an occurrence if the entry is enabled now. Never rejects. */
  async fire(at: Date): Promise<void> {
    const { entry, source, signal } = this
    for (let attempt = 1; ; attempt++) {
      try {
        const report = (error: Error) => reportFailure(entry, at, source, new CronPartError('settings', error))
        if (await inPart('settings', () => this.#switches.isEnabled(entry, report)))
          await enqueueOccurrence(entry, at, source)
        else skip(entry, at, source, 'disabled')
        return
      } catch (error) {
        const willRetry = this.#mayRetry(at, error)
        reportFailure(entry, at, source, error, willRetry)
        if (!willRetry) return
        await sleep(backoffMs(attempt), signal)
      }
    }
  }

  /** After an outage of Postgres the occurrence is still enqueued, unless the next one has become due meanwhile. */
  #mayRetry(at: Date, error: unknown): boolean {
    const { entry, signal } = this
    if (signal.aborted || !isRetryable(partOf(error).error)) return false
    const next = entry.next(at)
    return next === undefined || next > this.#now()
  }

  /** The next occurrence after `since`. A function that fails is called again after a pause. */
  async #findNext(since: Date): Promise<FoundOccurrence> {
    const { entry, signal, source } = this
    while (!signal.aborted) {
      try {
        const found = await entry.findNext(since, () => this.#lastAt())
        const { at: next } = found
        if (!entry.isComputed || next === undefined || this.#previous === undefined || next > this.#previous)
          return found
        throw new CronPartError(
          'cron',
          new RangeError(`the function returned ${next.toISOString()}, which is not later than its argument`),
        )
      } catch (error) {
        reportFailure(entry, undefined, source, error, true)
      }
      await this.#wake.wait(RECOMPUTE_MS, signal)
    }
    return { at: undefined, isAfterSkip: false }
  }

  /** The argument of a schedule function: the instant that was handled last, or the newest in the table. */
  async #lastAt(): Promise<Date | undefined> {
    return this.#previous ?? lastRunAt(this.entry)
  }

  /** Waits until the clock has reached an occurrence, never less. @returns undefined if the signal fires */
  async #reach({ at, since }: Armed): Promise<Date | undefined> {
    const { entry, signal } = this
    let [due, from] = [at, since]
    for (let now = this.#now(); now < due; now = this.#now()) {
      // The clock was set back. If it had been ahead, earlier occurrences follow; those that have a job are in the unique index.
      if (now < from) [due, from] = [entry.next(now) ?? due, now]
      await this.#wake.wait(due.getTime() - now.getTime(), signal)
      if (signal.aborted) return undefined
    }
    return due
  }

  /** After a late wake-up the occurrences between are skipped, as in GoodJob. */
  #skipMissed(due: Date, wokenAt: Date): void {
    const { entry, source } = this
    const missed = entry.next(due)
    if (missed !== undefined && missed <= wokenAt) skip(entry, missed, source, 'missed')
  }

  #now(): Date {
    return this.entry.context.adapter.clock.now()
  }
}

/** The instant of the newest job of an entry. GoodJob 4.23.1 cron_entry.rb#last_job_at. */
export const lastRunAt = async ({ key, context }: CronEntry): Promise<Date | undefined> => {
  const { database, clock } = context.adapter
  const options = { keys: [key], now: columnText(clock.now()) }
  const run = (await findLastCronRuns(database.pool, await database.facts(), options)).get(key)
  return run && new Date(run.cron_at ?? run.created_at)
}
