import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { sweepBatches } from '../../src/batch/completion/sweep.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import type { World } from '../support/harness.ts'
import { rubyDiscard, rubyRetry } from './as-ruby.ts'
import { batchWorld, Scene } from './scene.ts'

/** What a person or a worker can do to a batch; `member` picks one of those to which it applies. */
interface Step {
  readonly kind:
    | 'succeed'
    | 'fail'
    | 'discard'
    | 'force'
    | 'rubyDiscard'
    | 'retry'
    | 'rubyRetry'
    | 'retryBatch'
    | 'stage'
    | 'sweep'
  readonly member: number
}

const anySteps = fc.array(
  fc.record<Step>({
    kind: fc.constantFrom(
      'succeed',
      'succeed',
      'fail',
      'discard',
      'force',
      'rubyDiscard',
      'retry',
      'retry',
      'rubyRetry',
      'retryBatch',
      'stage',
      'sweep',
    ),
    member: fc.nat({ max: 9 }),
  }),
  { minLength: 3, maxLength: 12 },
)

type Member = 'open' | 'good' | 'broken'

/** What a batch promises, stated without the steps of a check. */
class Promised {
  readonly members = new Map<string, Member>()
  /** Callbacks since the batch was last enqueued or retried; on_discard fires once each time that the batch becomes discarded. */
  successes = 0
  finishes = 0
  discards = 0
  isBad = false

  named(states: readonly Member[], pick: number): string | undefined {
    const names = [...this.members].filter(([, state]) => states.includes(state)).map(([name]) => name)
    return names[pick % Math.max(1, names.length)]
  }

  arm(): void {
    this.successes = 0
    this.finishes = 0
  }

  break(name: string): void {
    this.members.set(name, 'broken')
    if (!this.isBad) this.discards += 1
    this.isBad = true
    this.look()
  }

  /** All members ended: on_finish fires once, and on_success once if no member failed. */
  look(): void {
    const states = [...this.members.values()]
    if (states.includes('open')) return
    this.finishes = 1
    if (states.includes('broken')) return
    this.isBad = false
    this.successes = 1
  }
}

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt, worker: { threads: 5, queues: '-parked' } })

    test('whatever happens to a batch, each callback fires exactly when the model expects it, once and never too early', async () => {
      await fc.assert(
        fc.asyncProperty(anySteps, async (steps) => {
          const play = await Play.begin(world)
          for (const step of steps) await play.take(step)
          await play.end()
        }),
        { numRuns: 60 },
      )
      // Sixty random histories of many jobs each: seconds on a free machine, a minute on a busy one.
    }, 180_000)
  })
}

/** One batch and what was promised of it, side by side. */
class Play {
  readonly #scene: Scene
  readonly #promised = new Promised()
  /** Callbacks from before the last retry of the batch. */
  readonly #before = { success: 0, finish: 0 }
  #stages = 0
  #ids: Record<string, string>

  private constructor(scene: Scene) {
    this.#scene = scene
    this.#ids = { ...scene.jobs }
    for (const name of Object.keys(scene.jobs)) this.#promised.members.set(name, 'open')
  }

  static async begin(world: World): Promise<Play> {
    return new Play(await Scene.enqueue(world, { a: { startsIn: 3600 }, b: { startsIn: 3600 } }))
  }

  async take({ kind, member }: Step): Promise<void> {
    const promised = this.#promised
    const from = ({ retry: ['broken'], rubyRetry: ['broken'] } as Record<string, readonly Member[]>)[kind] ?? ['open']
    const name = promised.named(from, member)
    if (kind === 'sweep') await this.#sweep()
    else if (kind === 'stage') await this.#stage()
    else if (kind === 'retryBatch') await this.#retryBatch()
    else if (name !== undefined) await this.#act(kind, name)
    await this.#compare()
  }

  /** Lets every member succeed: then all callbacks are owed. */
  async end(): Promise<void> {
    for (const name of this.#promised.members.keys()) {
      if (this.#promised.members.get(name) === 'broken') await this.take({ kind: 'retry', member: 0 })
    }
    while (this.#promised.named(['open'], 0) !== undefined) await this.take({ kind: 'succeed', member: 0 })
    expect(this.#promised.isBad).toBe(false)
    expect(this.#promised.successes).toBe(1)
  }

  async #act(kind: Step['kind'], name: string): Promise<void> {
    const { world } = this.#scene
    const id = this.#ids[name] ?? ''
    switch (kind) {
      case 'succeed':
      case 'fail':
        return this.#perform(name, kind)
      case 'discard':
        await world.adapter.discardJob(id)
        return this.#promised.break(name)
      case 'force':
        await world.adapter.forceDiscardJob(id)
        return this.#promised.break(name)
      case 'rubyDiscard':
        // The batch stays unchecked until some later check; here the sweep.
        await rubyDiscard(world, id)
        await this.#sweep()
        return this.#breakUnseen(name)
      case 'rubyRetry':
        await rubyRetry(world, id, { isForRuby: true })
        return void this.#promised.members.set(name, 'open')
      default:
        await this.#park(name)
        await world.adapter.retryJob(id)
        return void this.#promised.members.set(name, 'open')
    }
  }

  /** A discard without a check is noticed when all members have ended. */
  #breakUnseen(name: string): void {
    const { members } = this.#promised
    members.set(name, 'broken')
    if (![...members.values()].includes('open')) this.#promised.break(name)
  }

  async #perform(name: string, end: 'succeed' | 'fail'): Promise<void> {
    const { world } = this.#scene
    this.#scene.let(name, end === 'fail' ? 'fail' : 'ok')
    await world.sql(`UPDATE good_jobs SET scheduled_at = created_at, queue_name = 'default' WHERE id = $1`, [
      this.#ids[name],
    ])
    await world.sql(`SELECT pg_notify('good_job', '{}')`)
    await this.#scene.settled(this.#parked().filter((id) => id !== this.#ids[name]))
    if (end === 'fail') return this.#promised.break(name)
    this.#promised.members.set(name, 'good')
    this.#noticeUnseen()
    this.#promised.look()
  }

  /** A retry takes the queue from the parameters: a queue without a worker keeps the member unfinished. */
  async #park(name: string): Promise<void> {
    await this.#scene.world.sql(
      `UPDATE good_jobs SET serialized_params = jsonb_set(serialized_params, '{queue_name}', '"parked"') WHERE id = $1`,
      [this.#ids[name]],
    )
  }

  #noticeUnseen(): void {
    const states = [...this.#promised.members.values()]
    if (!states.includes('open') && states.includes('broken') && !this.#promised.isBad) {
      this.#promised.isBad = true
      this.#promised.discards += 1
    }
  }

  #parked(): string[] {
    return [...this.#promised.members].filter(([, state]) => state === 'open').map(([name]) => this.#ids[name] ?? '')
  }

  async #sweep(): Promise<void> {
    const { adapter } = this.#scene.world
    await sweepBatches({
      database: adapter.database,
      check: checkOptionsOf(adapter),
      processId: SWEEPER,
      windowMs: 3_600_000,
      // Ruby's clock may show the same millisecond.
      graceMs: -1_000,
    })
  }

  async #stage(): Promise<void> {
    const name = `stage ${++this.#stages}`
    const job = this.#scene.member(name)
    job.set({ wait: 3600 })
    await this.#scene.batch.enqueue(job)
    this.#ids = { ...this.#ids, [name]: job.jobId }
    this.#promised.members.set(name, 'open')
    this.#arm()
  }

  async #retryBatch(): Promise<void> {
    const { members } = this.#promised
    const broken = [...members].filter(([, state]) => state === 'broken').map(([name]) => name)
    if (broken.length === 0) return
    for (const name of broken) await this.#park(name)
    await this.#scene.batch.retry()
    for (const name of broken) members.set(name, 'open')
    this.#promised.isBad = false
    this.#arm()
  }

  #arm(): void {
    this.#before.success += this.#promised.successes
    this.#before.finish += this.#promised.finishes
    this.#promised.arm()
  }

  async #compare(): Promise<void> {
    const seen = await this.#scene.settled(this.#parked())
    const count = (event: string) => seen.callbacks.filter((one) => one === event).length
    expect({
      isDiscarded: seen.isDiscarded,
      discards: count('discard'),
      successes: count('success'),
      finishes: count('finish'),
    }).toEqual({
      isDiscarded: this.#promised.isBad,
      discards: this.#promised.discards,
      successes: this.#before.success + this.#promised.successes,
      finishes: this.#before.finish + this.#promised.finishes,
    })
  }
}

const SWEEPER = '00000000-0000-0000-0000-00000000beef'
