import { events } from '../events.ts'
import type { SettledAttempt } from '../perform/job-performer.ts'
import type { Message } from './notifier.ts'
import type { Scheduler } from './scheduler.ts'

/** The pools of a worker. Whoever learns of work tells them here; they may be registered later than that is wired. */
export class Pools {
  readonly #schedulers: Scheduler[] = []

  register(scheduler: Scheduler): void {
    this.#schedulers.push(scheduler)
  }

  get schedulers(): readonly Scheduler[] {
    return this.#schedulers
  }

  get isIdle(): boolean {
    return this.#schedulers.every(({ activeThreads }) => activeThreads === 0)
  }

  /** There may be work for each of them. */
  wake(): void {
    for (const scheduler of this.#schedulers) scheduler.wake()
  }

  /** Outcomes were written or set apart: a pool that waited for the backlog goes on. */
  resume(): void {
    for (const scheduler of this.#schedulers) scheduler.resume()
  }

  notify({ queueName, startsAtMs }: Message): void {
    for (const scheduler of this.#schedulers) scheduler.notify(queueName, startsAtMs)
  }

  /**
   * A job that runs again needs no notification; any other end may free a pool that waited for the backlog. Another session may have made
   * the job wait again while this one held its lock: a claim that was woken for the job found it locked, so there has to be another.
   */
  noteSettled({ as, result: { reenqueue }, write }: SettledAttempt): void {
    if (as !== 'written' || write === 'rerun') this.wake()
    else if (write !== 'reenqueue') this.resume()
    else this.notify({ queueName: reenqueue?.queueName, startsAtMs: reenqueue?.scheduledAt?.getTime() ?? 0 })
  }

  /** Claims and runs jobs until `signal` aborts, without waiting for jobs that run then. */
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
