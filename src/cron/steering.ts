import { nearest } from '../configuration-values.ts'
import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { CronEntryNotFoundError } from '../errors.ts'
import type { CallerTransaction } from '../job/adapters/queue-adapter.ts'
import type { Job } from '../job/base.ts'
import { findLastCronRuns, isKnownCronKey } from '../sql/cron/runs.ts'
import { findCronSwitches, switchCronKey } from '../sql/cron/settings.ts'
import { columnText } from '../time.ts'
import { buildEntries } from './entries.ts'
import type { CronEntry } from './entry.ts'
import { partOf } from './failure.ts'
import { enqueueOccurrence } from './occurrence.ts'
import { type CronEntryStatus, describeEntry, nextOf, runOf } from './status.ts'
import { stateOf } from './switches.ts'
import { expressionOptions } from './zone.ts'

export interface RunCronOptions {
  /** A pg client with an open transaction for the INSERT. */
  readonly transaction?: CallerTransaction | undefined
}

/** Shows and switches the entries of the option `cron`, and runs them now. `adapter.cron` is one. */
export class Cron {
  readonly #adapter: EnqueueAdapter
  #entries: readonly CronEntry[] | undefined

  constructor(adapter: EnqueueAdapter) {
    this.#adapter = adapter
  }

  /** @internal @throws ConfigurationError that names the entry and its member */
  get entries(): readonly CronEntry[] {
    const { configuration } = this.#adapter
    this.#entries ??= buildEntries(configuration.cron, {
      adapter: this.#adapter,
      registry: this.#adapter.registry,
      expression: expressionOptions(configuration),
    })
    return this.#entries
  }

  /** Every entry: its next three instants, its last run and the outcome, whether it is enabled and by whom. @throws ConfigurationError */
  async list(): Promise<CronEntryStatus[]> {
    const { database, clock } = this.#adapter
    const now = clock.now()
    const keys = this.entries.map(({ key }) => key)
    const runs = await findLastCronRuns(database.pool, await database.facts(), { keys, now: columnText(now) })
    const switches = await findCronSwitches(database.pool)
    return Promise.all(
      this.entries.map(async (entry) => {
        const lastRun = runOf(runs.get(entry.key))
        const state = stateOf(entry.key, await entry.isEnabledByDefault(), switches)
        return { ...describeEntry(entry), ...(await nextOf(entry, now, lastRun)), ...state, lastRun }
      }),
    )
  }

  /**
   * Enqueues a job of an entry now, also of a disabled one. Its `cron_at` is the current time with microseconds, as for the dashboard's
   * "run now". Resolves with false if a callback or a concurrency rule refused it.
   * @throws CronEntryNotFoundError, ConfigurationError, and what the functions of the entry throw
   */
  async run(key: string, { transaction }: RunCronOptions = {}): Promise<Job | false> {
    const entry = this.entries.find((each) => each.key === key) ?? this.#refuse(key)
    const at = this.#adapter.clock.now()
    try {
      return (await enqueueOccurrence(entry, at, {}, transaction ? { transaction } : {})) ?? false
    } catch (error) {
      throw partOf(error).error
    }
  }

  /** Lets workers of both sides enqueue the jobs of an entry. GoodJob: CronEntry#enable. @throws CronEntryNotFoundError */
  enable(key: string): Promise<void> {
    return this.#switch(key, true)
  }

  /** Keeps workers of both sides from enqueueing the jobs of an entry. GoodJob: CronEntry#disable. @throws CronEntryNotFoundError */
  disable(key: string): Promise<void> {
    return this.#switch(key, false)
  }

  async #switch(key: string, isOn: boolean): Promise<void> {
    const { database } = this.#adapter
    const isOurs = this.entries.some((each) => each.key === key)
    if (!isOurs && !(await isKnownCronKey(database.pool, key))) this.#refuse(key)
    const facts = await database.facts()
    await database.transaction((db) => switchCronKey(db, facts, key, isOn))
  }

  #refuse(key: string): never {
    const keys = this.entries.map((entry) => entry.key)
    const meant = nearest(key, keys)
    const known = keys.length === 0 ? 'this process has no entries' : `known are ${keys.join(', ')}`
    throw new CronEntryNotFoundError(
      `there is no cron entry ${JSON.stringify(key)}: ${meant === undefined ? known : `did you mean ${meant}?`}`,
    )
  }
}
