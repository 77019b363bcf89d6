import { findLastOccurrence } from '../sql/cron/runs.ts'
import { columnText } from '../time.ts'
import type { CronEntry } from './entry.ts'
import { type CronSource, reportFailure } from './occurrence.ts'
import { EntryRunner, lastRunAt } from './runner.ts'
import { SwitchReader } from './switches.ts'

export interface CronManagerOptions extends CronSource {
  readonly entries: readonly CronEntry[]
  /** Milliseconds before the start for which missed occurrences are enqueued; 0 or less: none. */
  readonly gracefulRestartMs: number
}

/** Enqueues the jobs of entries on their schedules. GoodJob: CronManager. */
export class CronManager {
  readonly #options: CronManagerOptions
  readonly #stopped = new AbortController()
  readonly #runners: readonly EntryRunner[]
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: CronManagerOptions) {
    this.#options = options
    const { entries, processId } = options
    const source = processId === undefined ? {} : { processId }
    const shared = { source, switches: new SwitchReader(), signal: this.#stopped.signal }
    this.#runners = entries.map((entry) => new EntryRunner({ ...shared, entry }))
  }

  /** Starts a timer for each entry. They stop when `signal` fires. */
  start(signal?: AbortSignal): void {
    if (signal?.aborted) this.#stopped.abort()
    signal?.addEventListener('abort', () => this.#stopped.abort(), { once: true })
    this.#running = Promise.all(this.#runners.flatMap((runner) => [runner.run(), this.#makeUp(runner)]))
  }

  /** The clock was changed: some occurrences may be due now. */
  wake(): void {
    for (const runner of this.#runners) runner.wake()
  }

  /** Stops the timers at once; resolves when no occurrence is being enqueued any more. */
  async stop(): Promise<void> {
    this.#stopped.abort()
    await this.#running
  }

  /** Enqueues what was missed before the start. GoodJob 4.23.1 cron_manager.rb#create_graceful_tasks. */
  async #makeUp(runner: EntryRunner): Promise<void> {
    const { entry, source, signal } = runner
    const { gracefulRestartMs } = this.#options
    if (gracefulRestartMs <= 0) return
    try {
      for (const at of await missedBefore(entry, gracefulRestartMs)) {
        if (signal.aborted) return
        await runner.fire(at)
      }
    } catch (error) {
      reportFailure(entry, undefined, source, error)
    }
  }
}

/** The occurrences of a period that ends now, after the newest one that has a job. */
const missedBefore = async (entry: CronEntry, periodMs: number): Promise<Iterable<Date>> => {
  const { database, clock } = entry.context.adapter
  const now = clock.now()
  const facts = await database.facts()
  const last = await findLastOccurrence(database.pool, facts, { key: entry.key, until: columnText(now) })
  const from = new Date(Math.max(now.getTime() - periodMs, last?.getTime() ?? Number.NEGATIVE_INFINITY))
  return entry.within(from, now, () => lastRunAt(entry))
}
