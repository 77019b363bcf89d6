import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import type { Fleet, Place } from './fleet.ts'
import type { Operator } from './operator.ts'
import type { Direction } from './proxy.ts'
import type { Random } from './random.ts'
import type { RestartableServer } from './server.ts'

export interface FaultOptions {
  readonly fleet: Fleet
  readonly server: RestartableServer
  readonly operator: Operator
  readonly random: Random
  readonly pool: Pool
  readonly ledger: Pool
  /** Names of the faults to choose from. @default all */
  readonly only?: readonly string[] | undefined
}

/** A fault: how often it is chosen in comparison with the others, whether it takes advisory locks, and what it does. */
interface Fault {
  readonly weight: number
  readonly takesLocks?: boolean
  /** It cuts off or stalls every worker, not only the one at the place. A NOTIFY message does neither. */
  readonly isOfAll?: boolean
  readonly run: (place: Place) => Promise<unknown>
}

/** Chooses faults from a generator and injects them, several at a time. */
export class Faults {
  readonly counts = new Map<string, number>()
  readonly #options: FaultOptions
  readonly #faults: ReadonlyMap<string, Fault>
  /** Places with a fault under way: the next fault skips them. */
  readonly #busy = new Set<Place>()
  readonly #underWay = new Set<Promise<unknown>>()
  #isRestarting = false

  constructor(options: FaultOptions) {
    this.#options = options
    const table = Object.entries(this.#table())
    this.#faults = new Map(table.filter(([name]) => options.only?.includes(name) ?? true))
    if (this.#faults.size === 0) throw new Error(`no such fault; there are: ${table.map(([name]) => name).join('; ')}`)
  }

  /** Starts the next fault, which then runs by itself. */
  injectNext(): void {
    const { random, fleet } = this.#options
    const name = this.#choose()
    const place = random.pick(fleet.places.filter((each) => !this.#busy.has(each)))
    const fault = this.#faults.get(name)
    if (fault === undefined || place === undefined) return
    const underWay = this.#inject(name, fault, place).finally(() => this.#underWay.delete(underWay))
    this.#underWay.add(underWay)
  }

  /** Resolves when every fault is over and every place has a worker. */
  async over(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all(this.#underWay)
  }

  #table(): Record<string, Fault> {
    const { random, pool, server, operator } = this.#options
    return {
      'kill -9': { weight: 4, run: (place) => this.#kill(place) },
      'SIGSTOP and SIGCONT': { weight: 3, run: (place) => this.#pause(place) },
      pg_terminate_backend: { weight: 6, takesLocks: true, run: (place) => this.#terminate(place) },
      'restart, fast': {
        weight: 0.7,
        takesLocks: true,
        isOfAll: true,
        run: () => this.#restart(() => server.restart('fast')),
      },
      'restart, immediate': {
        weight: 0.7,
        takesLocks: true,
        isOfAll: true,
        run: () => this.#restart(() => server.restart('immediate')),
      },
      'connections reset': { weight: 4, takesLocks: true, run: async ({ proxy }) => proxy.cut() },
      'silence to the server': { weight: 2, run: (place) => this.#stall(place, 'to server') },
      'silence to the worker': { weight: 2, run: (place) => this.#stall(place, 'to worker') },
      'silence both ways, 25 to 40 s': {
        weight: 0.5,
        takesLocks: true,
        run: (place) => this.#stall(place, 'both', random.whole(25_000, 40_000)),
      },
      'NOTIFY of garbage': {
        weight: 3,
        run: () => pool.query(`SELECT pg_notify('good_job', $1)`, [random.pick(GARBAGE)]),
      },
      'VACUUM FULL': { weight: 1, isOfAll: true, run: () => pool.query('VACUUM FULL good_jobs') },
      'table locked': { weight: 1, isOfAll: true, run: () => pool.query(LOCK_TABLE) },
      'force discard': { weight: 4, run: () => operator.forceDiscard() },
    }
  }

  #choose(): string {
    const entries = [...this.#faults]
    let left = this.#options.random.next() * entries.reduce((sum, [, { weight }]) => sum + weight, 0)
    for (const [name, { weight }] of entries) {
      left -= weight
      if (left < 0) return name
    }
    return ''
  }

  async #inject(name: string, fault: Fault, place: Place): Promise<void> {
    const { ledger } = this.#options
    if (name.startsWith('restart') && this.#isRestarting) return
    this.#busy.add(place)
    const worker = fault.isOfAll ? null : place.worker.plan.name
    const { rows } = await ledger.query<{ id: string }>(NOTE_FAULT, [name, worker, fault.takesLocks === true])
    try {
      await fault.run(place)
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1)
    } catch {
      // Another fault was under way: there was no connection.
    } finally {
      await ledger.query('UPDATE fleet_faults SET over_at = clock_timestamp() WHERE id = $1', [rows[0]?.id])
      this.#busy.delete(place)
    }
  }

  async #kill(place: Place): Promise<void> {
    const { fleet, random } = this.#options
    const dead = place.worker
    await fleet.kill(place)
    await sleep(random.whole(0, 3_000))
    await insist(() => fleet.forget(dead))
    await insist(() => fleet.replace(place))
  }

  async #pause({ worker }: Place): Promise<void> {
    worker.signal('SIGSTOP')
    await sleep(this.#options.random.whole(500, 8_000))
    worker.signal('SIGCONT')
  }

  async #terminate({ proxy }: Place): Promise<void> {
    const { pool, random } = this.#options
    await pool.query(TERMINATE, [random.pick(proxy.ports)])
  }

  async #stall({ proxy }: Place, direction: Direction, ms = this.#options.random.whole(500, 6_000)): Promise<void> {
    proxy.stall(direction)
    await sleep(ms)
    proxy.resume()
  }

  async #restart(restart: () => Promise<void>): Promise<void> {
    this.#isRestarting = true
    try {
      await restart()
    } finally {
      this.#isRestarting = false
    }
  }
}

// $1 kind · $2 worker, or null for all · $3 takes locks
const NOTE_FAULT = 'INSERT INTO fleet_faults (kind, worker, takes_locks) VALUES ($1, $2, $3) RETURNING id'

/** $1 port of the client */
const TERMINATE = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = $1'

const LOCK_TABLE = `DO $$ BEGIN LOCK TABLE good_jobs IN ACCESS EXCLUSIVE MODE; PERFORM pg_sleep(1.5); END $$`

const GARBAGE = [
  '',
  '{',
  'null',
  '[]',
  '{"queue_name": 7}',
  '{"queue_name":"shared","scheduled_at":"soon"}',
  'x'.repeat(7_900),
]

const RETRY_MS = 500

/** Repeats an action until it succeeds: a fault of another kind may be under way. */
export const insist = async <T>(action: () => Promise<T>): Promise<T> => {
  for (let tries = 1; ; tries += 1) {
    try {
      return await action()
    } catch (error) {
      if (tries === MAX_TRIES) throw error
      await sleep(RETRY_MS)
    }
  }
}

const MAX_TRIES = 60
