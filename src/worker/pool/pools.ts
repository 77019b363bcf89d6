import { events } from '../../events.ts'
import { scopesOfRow } from '../../perform/limits/gate.ts'
import type { Outcome, SettledAs } from '../../perform/outcome/outcome.ts'
import type { Message } from '../notifier.ts'
import type { Scheduler } from './scheduler.ts'

/** The pools of a worker. News of work arrives here; pools may be registered after their sources are connected. */
export class Pools {
  readonly #schedulers: Scheduler[] = []
  /** Executions that are not settled yet although their places are free: a second search for the same places would be in vain. */
  readonly #freed = new Set<string>()

  register(scheduler: Scheduler): void {
    this.#schedulers.push(scheduler)
  }

  get schedulers(): readonly Scheduler[] {
    return this.#schedulers
  }

  get isIdle(): boolean {
    return this.#schedulers.every(({ activeThreads }) => activeThreads === 0)
  }

  /** There may be work for each pool. */
  wake(): void {
    for (const scheduler of this.#schedulers) scheduler.wake()
  }

  /** Outcomes were written or set aside: a pool that waited for the backlog claims again. */
  resume(): void {
    for (const scheduler of this.#schedulers) scheduler.resume()
  }

  /** These outcomes are committed, and settled soon. */
  freePlacesOf(outcomes: readonly Outcome[]): void {
    for (const { row } of outcomes) this.#freed.add(row.execution_id)
    this.#freeScopesOf(outcomes)
  }

  /** The end of any job may free a place: the scopes also count jobs of classes without rules. */
  #freeScopesOf(outcomes: readonly Outcome[]): void {
    if (!this.#schedulers.some(({ hasLimits }) => hasLimits)) return
    this.free(outcomes.flatMap(({ claimKeys, row }) => [...claimKeys, ...scopesOfRow(row)]))
  }

  /** Places in these scopes of concurrency rules may be free; undefined: in some scopes. */
  free(claimKeys: readonly string[] | undefined): void {
    for (const scheduler of this.#schedulers) scheduler.free(claimKeys)
  }

  notify({ queueName, startsAtMs }: Message): void {
    for (const scheduler of this.#schedulers) scheduler.notify(queueName, startsAtMs)
  }

  /**
   * Wakes pools after an attempt. A job that runs again needs no notification; any other end may free a pool that waited for the backlog.
   * Another session may have rescheduled the job while this attempt held its lock: a claim woken for that found the job locked, so another
   * claim is needed.
   */
  noteSettled(outcome: Outcome, as: SettledAs): void {
    const { write, result } = outcome
    const { reenqueue } = result
    if (!this.#freed.delete(outcome.row.execution_id)) this.#freeScopesOf([outcome])
    if (as !== 'written' || write === 'rerun') this.wake()
    else if (write !== 'reenqueue') this.resume()
    else this.notify({ queueName: reenqueue?.queueName, startsAtMs: reenqueue?.scheduledAt?.getTime() ?? 0 })
  }

  /** Claims and runs jobs until `signal` aborts; does not wait for jobs that still run then. */
  async run(processId: string, signal: AbortSignal): Promise<void> {
    const loops = this.#schedulers.map((scheduler) => {
      const { name: queues, maxThreads } = scheduler.pool
      events.emit('scheduler_create_pool', { processId, queues, maxThreads })
      return scheduler.run(signal)
    })
    await Promise.all(loops)
  }

  /** Resolves when no job runs. */
  async idle(): Promise<void> {
    await Promise.all(this.#schedulers.map((scheduler) => scheduler.idle()))
  }
}
