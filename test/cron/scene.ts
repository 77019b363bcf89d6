import type { CronEntry } from '../../src/cron/entry.ts'
import { CronManager } from '../../src/cron/manager.ts'
import { events } from '../../src/events.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import type { CronEntries } from '../../src/schedule/options.ts'
import { type Clock, microsecondText, PreciseTime } from '../../src/time.ts'
import type { Row, World } from '../support/harness.ts'

/** A clock that stands still until it is set. */
export class FakeClock implements Clock {
  #ms: number
  #readings = 0

  constructor(at: string) {
    this.#ms = Date.parse(at)
  }

  now(): Date {
    return new PreciseTime(this.#ms)
  }

  timestamp(): string {
    this.#readings += 1
    return microsecondText(this.#ms * 1000 + this.#readings)
  }

  monotonic(): number {
    return performance.now()
  }

  set(at: string | number): void {
    this.#ms = typeof at === 'number' ? at : Date.parse(at)
  }
}

/** A busy machine needs a second or two. */
const PATIENCE_MS = 20_000

export interface SceneOptions {
  readonly at?: string
  readonly zone?: string
  readonly gracefulRestartMs?: number
  readonly databaseUrl?: string
}

type CronEventName = 'cron_enqueued' | 'cron_skipped' | 'cron_failed'

/** A manager with a clock of its own on the database of a world. */
export class Scene implements AsyncDisposable {
  readonly clock: FakeClock
  readonly adapter: Adapter
  readonly manager: CronManager
  readonly entries: readonly CronEntry[]
  /** What happened to each occurrence, in order: `key enqueued 12:00:00`. */
  readonly seen: string[] = []
  readonly #waiting = new Set<() => void>()
  readonly #ends: (() => void)[] = []

  constructor(world: World, cron: CronEntries, options: SceneOptions = {}) {
    const { at = '2026-06-01T12:00:00.500Z', zone, gracefulRestartMs = 0, databaseUrl = world.url } = options
    this.clock = new FakeClock(at)
    const { clock } = this
    this.adapter = new Adapter({ databaseUrl, clock, cron, ...(zone === undefined ? {} : { cronZone: zone }) })
    this.entries = this.adapter.cron.entries
    this.manager = new CronManager({ entries: this.entries, gracefulRestartMs, processId: PROCESS_ID })
    this.#listen('cron_enqueued', () => 'enqueued')
    this.#listen('cron_skipped', ({ reason }) => reason)
    this.#listen('cron_failed', ({ part }) => `failed ${part}`)
  }

  start(): this {
    this.manager.start()
    return this
  }

  /** Sets the clock and lets the manager compare it, as after a change of the machine's clock. */
  async set(at: string | number): Promise<void> {
    this.clock.set(at)
    this.manager.wake()
    // The loops of the entries compare the clock in promise jobs.
    await new Promise(setImmediate)
  }

  /** Resolves when a line has been seen. */
  async until(line: string): Promise<void> {
    const tooLate = AbortSignal.timeout(PATIENCE_MS)
    tooLate.addEventListener('abort', () => this.#notice())
    while (!this.seen.includes(line)) {
      if (tooLate.aborted) throw new Error(`not seen: ${line}; seen: ${this.seen.join(', ')}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  /** Sets the clock, and resolves when a line has been seen. */
  async reach(at: string, line: string): Promise<void> {
    await this.set(at)
    await this.until(line)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.manager.stop()
    for (const end of this.#ends) end()
    await this.adapter.close()
  }

  #notice(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #listen(name: 'cron_enqueued', word: (payload: never) => string): void
  #listen(name: 'cron_skipped', word: (payload: { readonly reason: string }) => string): void
  #listen(name: 'cron_failed', word: (payload: { readonly part: string }) => string): void
  #listen(name: CronEventName, word: (payload: never) => string): void {
    const listener = (payload: { readonly key: string; readonly cronAt?: Date; readonly processId?: string }) => {
      const at = payload.cronAt === undefined ? '' : ` ${payload.cronAt.toISOString().slice(11, 19)}`
      this.seen.push(`${payload.key} ${word(payload as never)}${at}`)
      this.#notice()
    }
    events.on(name, listener as never)
    this.#ends.push(() => void events.off(name, listener as never))
  }
}

const PROCESS_ID = '00000000-0000-4000-8000-00000000c40a'

/** The instants of an entry's rows, oldest first. */
export const instantsOf = async ({ sql }: World, key: string): Promise<string[]> => {
  const rows = await sql<Row>('SELECT cron_at FROM good_jobs WHERE cron_key = $1 ORDER BY cron_at', [key])
  return rows.map(({ cron_at: at }) => (at as Date).toISOString().replace('.000Z', 'Z'))
}
