import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { Adapter, type Job } from '../src/index.ts'
import type { Plan } from './jobs.ts'
import { type Kind, LIMITED_CLASSES, type Limit, type LimitedClass } from './limited-jobs.ts'
import { Random } from './random.ts'

/** A job for either side to enqueue. */
export type LimitedPlan = readonly [jobClass: string, options: { readonly wait?: number }, plan: Plan]

export interface LimitedCell {
  readonly databaseUrl: string
  readonly pool: Pool
  readonly kind: Kind
  readonly limit: Limit
  readonly jobs: number
  readonly seed: number
  readonly enqueueInRuby: (plans: readonly LimitedPlan[]) => Promise<unknown>
}

/** Jobs that one side enqueues at a time. */
const PAGE = 15
/** Enqueues go on while jobs are worked: that many may be waiting. */
const BACKLOG = 200

const OPEN = 'SELECT count(*)::integer AS jobs FROM good_jobs WHERE finished_at IS NULL'

/** Enqueues that many jobs of a kind while the workers of the database work them, half of them in Ruby; resolves when none is open. */
export const runLimitedCell = async (cell: LimitedCell): Promise<void> => {
  const { databaseUrl, pool, jobs, seed, enqueueInRuby } = cell
  const random = new Random(seed)
  const adapter = new Adapter({ databaseUrl })
  for (let left = jobs; left > 0; left -= 2 * PAGE) {
    while ((await openJobs(pool)) > BACKLOG) await sleep(20)
    const [here, there] = [
      planOf(random, cell, Math.min(PAGE, left)),
      planOf(random, cell, Math.min(PAGE, left - PAGE)),
    ]
    await adapter.enqueueAll(here.map(jobOf))
    await enqueueInRuby(there.map(inRuby))
  }
  await adapter.close()
  while ((await openJobs(pool)) > 0) await sleep(50)
}

const openJobs = async (pool: Pool): Promise<number> => (await pool.query<{ jobs: number }>(OPEN)).rows[0]?.jobs ?? 0

interface Planned {
  readonly jobClass: LimitedClass['jobClass']
  readonly options: { readonly wait?: number }
  readonly plan: Plan
}

/** Jobs of the kind 'Both' share their scopes with the other kinds, so all three are mixed. Some are for later, some are retried. */
const planOf = (random: Random, { kind, limit }: LimitedCell, count: number): Planned[] => {
  const classes = LIMITED_CLASSES.filter((each) => each.limit === limit && (kind === 'Both' || each.kind === kind))
  return Array.from({ length: Math.max(0, count) }, () => {
    const { jobClass } = random.pick(classes) as LimitedClass
    const options = random.chance(0.1) ? { wait: 1 } : {}
    return { jobClass, options, plan: [random.whole(0, 20), random.chance(0.1) ? 1 : 0, 0] }
  })
}

const jobOf = ({ jobClass, options, plan }: Planned): Job => new jobClass(...plan).set(options)

const inRuby = ({ jobClass, options, plan }: Planned): LimitedPlan => [jobClass.jobClass, options, plan]
