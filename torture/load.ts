import type { Pool } from 'pg'
import { Adapter, Batch, type Job } from '../src/index.ts'
import { CallbackJob, EnqueueJob, NodeJob, type Plan, RubyJob, SharedJob } from './jobs.ts'
import { LIMITED_CLASSES } from './limited-jobs.ts'
import type { Random } from './random.ts'

export interface LoadOptions {
  readonly databaseUrl: string
  readonly pool: Pool
  readonly random: Random
  readonly hasRuby: boolean
  /** Jobs of a queue that may wait or run at a time before no more are enqueued. */
  readonly backlog: number
}

/** Of the limited classes fewer wait at a time: GoodJob's refusals of one job are further and further apart. */
const LIMITED_SHARE = 0.4

const LIMITED_JOBS = LIMITED_CLASSES.map(({ jobClass }) => jobClass)

const UNFINISHED = 'SELECT queue_name, count(*)::integer AS jobs FROM good_jobs WHERE finished_at IS NULL GROUP BY 1'

/** Enqueues jobs and batches while the fleet works, from both sides. */
export class Load {
  /** Jobs that Postgres has confirmed. */
  readonly wanted: string[] = []
  readonly adapter: Adapter
  readonly #options: LoadOptions

  constructor(options: LoadOptions) {
    this.#options = options
    this.adapter = new Adapter({ databaseUrl: options.databaseUrl })
  }

  /** Refills queues that run low; after a fault the next call tries again. */
  async topUp(): Promise<void> {
    const { pool, backlog, random, hasRuby } = this.#options
    const { rows } = await pool.query<{ queue_name: string; jobs: number }>(UNFINISHED)
    const most = (queue: string) => (queue === 'limited' ? backlog * LIMITED_SHARE : backlog)
    const full = new Set(rows.filter(({ queue_name, jobs }) => jobs > most(queue_name)).map((row) => row.queue_name))
    const limited = random.pick(LIMITED_JOBS) ?? SharedJob
    const classes = [SharedJob, SharedJob, NodeJob, limited, ...(hasRuby ? [RubyJob] : [])].filter(
      ({ queueAs }) => !full.has(queueAs),
    )
    if (classes.length === 0) return
    await this.#enqueueAll(Array.from({ length: random.whole(5, 25) }, () => this.#job(classes)))
    if (random.chance(0.3)) await this.#enqueueBatch()
    if (hasRuby && !full.has('ruby') && !full.has('shared') && random.chance(0.3)) await this.#enqueueInRuby()
  }

  async close(): Promise<void> {
    await this.adapter.close()
  }

  async #enqueueAll(jobs: readonly Job[]): Promise<void> {
    await this.adapter.enqueueAll(jobs)
    this.wanted.push(...jobs.map(({ jobId }) => jobId))
  }

  #job(classes: readonly (typeof SharedJob)[]): Job {
    const { random } = this.#options
    const job = new (random.pick(classes) ?? SharedJob)(...planOf(random))
    return random.chance(0.1) ? job.set({ wait: random.whole(1, 3) }) : job
  }

  /** Members of Node only, or of both sides; some fail for good, so the batch is discarded until the operator retries them. */
  async #enqueueBatch(): Promise<void> {
    const { random } = this.#options
    const isShared = random.chance(0.5)
    const jobClass = isShared ? SharedJob : NodeJob
    const members = Array.from(
      { length: random.whole(1, 6) },
      () => new jobClass(random.whole(1, 50), 0, random.chance(0.2) ? 1 : 0),
    )
    const callbacks = { onSuccess: CallbackJob, onFinish: CallbackJob, onDiscard: CallbackJob }
    const batch = new Batch({ ...callbacks, description: isShared ? 'shared' : 'node' }, this.adapter)
    await batch.enqueue(members)
    this.wanted.push(...members.map(({ jobId }) => jobId))
  }

  async #enqueueInRuby(): Promise<void> {
    const { random } = this.#options
    const plans = Array.from({ length: random.whole(5, 20) }, () => {
      const wait = random.chance(0.1) ? { wait: random.whole(1, 3) } : {}
      const limited = random.chance(0.2) ? random.pick(LIMITED_JOBS)?.jobClass : undefined
      return [limited ?? (random.chance(0.7) ? 'Fleet::SharedJob' : 'Node::FleetJob'), wait, planOf(random)]
    })
    await this.#enqueueAll([new EnqueueJob(plans)])
  }
}

/** Most jobs are short; some run long enough to meet a fault. */
const planOf = (random: Random): Plan => {
  const kind = random.next()
  const ms = kind < 0.85 ? random.whole(0, 20) : kind < 0.97 ? random.whole(50, 500) : random.whole(1_000, 4_000)
  return [ms, random.chance(0.1) ? random.whole(1, 2) : 0, random.chance(0.02) ? 1 : 0]
}
