import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { ConfigurationError } from '../errors.ts'
import { shortly } from '../job/definition/mistakes.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import type { CronEntryOptions } from '../schedule/options.ts'
import {
  type CronExpression,
  type CronExpressionOptions,
  type FoundOccurrence,
  parseCron,
} from './expression/cron-expression.ts'
import { inPart } from './failure.ts'

/** What the entries of a process share. */
export interface CronContext {
  readonly adapter: EnqueueAdapter
  /** The classes that entries may name by text. @default none; then every name is one of Ruby */
  readonly registry?: JobRegistry | undefined
  /** Options of every schedule: the zone if it names none. */
  readonly expression: CronExpressionOptions
}

/** A job that is enqueued on a schedule. GoodJob: CronEntry. */
export class CronEntry {
  readonly key: string
  /** Checked by `buildEntries`. */
  readonly options: CronEntryOptions
  readonly context: CronContext
  readonly #expression: CronExpression | undefined

  /** @throws ConfigurationError for a schedule that is not one, or that has no occurrence */
  constructor(key: string, options: CronEntryOptions, context: CronContext) {
    this.key = key
    this.options = options
    this.context = context
    const { cron } = options
    if (typeof cron === 'string') this.#expression = parseCron(cron, context.expression)
  }

  /** Whether a function computes the schedule. */
  get isComputed(): boolean {
    return this.#expression === undefined
  }

  /** The text of the schedule; undefined if it is computed. */
  get text(): string | undefined {
    return this.#expression?.text
  }

  /** The zone of the schedule; undefined if it is computed. */
  get zone(): string | undefined {
    return this.#expression?.zone
  }

  /** The first occurrence after a time, for a schedule that is text. */
  next(after: Date): Date | undefined {
    return this.#expression?.next(after)
  }

  /**
   * The next instant: that of the text after `after`, or what the function returns for `previous`. `at` is undefined if there is none.
   * GoodJob 4.23.1 cron_entry.rb#next_at. @throws CronPartError
   */
  async findNext(after: Date, previous: () => Promise<Date | undefined>): Promise<FoundOccurrence> {
    const computed = this.#expression ?? (await this.#compute(previous))
    if (computed === undefined || computed instanceof Date) return { at: computed, isAfterSkip: false }
    return computed.find(after)
  }

  /** The next instants, for lists. A function that returns an instant knows only one. @throws CronPartError */
  async upcoming(after: Date, count: number, previous: () => Promise<Date | undefined>): Promise<readonly Date[]> {
    const computed = this.#expression ?? (await this.#compute(previous))
    if (computed === undefined) return []
    return computed instanceof Date ? [computed] : computed.upcoming(after, count)
  }

  /** The occurrences of a time span; none if a function returns the instants themselves. @throws CronPartError */
  async within(from: Date, to: Date, previous: () => Promise<Date | undefined>): Promise<Iterable<Date>> {
    const computed = this.#expression ?? (await this.#compute(previous))
    return computed === undefined || computed instanceof Date ? [] : computed.within(from, to)
  }

  /** @throws CronPartError for an error of the function */
  isEnabledByDefault(): Promise<boolean> {
    const { enabledByDefault = true } = this.options
    return inPart('enabledByDefault', async () =>
      Boolean(typeof enabledByDefault === 'function' ? await enabledByDefault() : enabledByDefault),
    )
  }

  #compute(previous: () => Promise<Date | undefined>): Promise<CronExpression | Date | undefined> {
    return inPart('cron', async () => {
      const { cron } = this.options
      const value = typeof cron === 'function' ? await cron(await previous()) : cron
      if (value === null || value === undefined) return undefined
      if (typeof value === 'string') return parseCron(value, this.context.expression)
      if (value instanceof Date && !Number.isNaN(value.getTime())) return value
      throw new ConfigurationError(
        `cron entry ${JSON.stringify(this.key)}: its cron function must return cron text, a valid Date or null, got ${shortly(value)}`,
      )
    })
  }
}
