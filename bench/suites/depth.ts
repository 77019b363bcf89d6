import {
  type Contender,
  floor,
  goodJobNode,
  goodJobRuby,
  graphileBatching,
  graphileDefault,
  pgBoss,
} from '../contenders.ts'
import { drain } from '../drain.ts'
import { Collector, type Named, type RunOptions, type Suite } from '../run.ts'
import { goodJobsWaiting, settle } from '../seed.ts'
import type { BenchDatabase } from '../server.ts'

const JOBS = 20_000

/** A contender in front of prepared tables. */
export interface Scene extends Named {
  readonly contender: Contender
  readonly open: () => Promise<BenchDatabase>
  /** Jobs of a round at full size. @default 20,000 */
  readonly jobs?: number
  /** Jobs that can be run there. */
  readonly waiting: number
}

/** The rate of the first of many jobs: a run to the end of a million would take too long. */
export const measureScenes = async (options: RunOptions, scenes: readonly Scene[]) => {
  const collector = new Collector(options.say)
  if (options.rounds === 0) for (const { open } of scenes) await (await open()).drop()
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const scene of scenes.filter(({ name }) => options.contenders.test(name))) {
      const { contender, open, waiting, jobs: atFullSize = JOBS } = scene
      const wanted = Math.round(atFullSize * Math.min(1, options.scale * 2) * (contender.share ?? 1))
      const jobs = Math.min(wanted, Math.floor(waiting * 0.9))
      const drained = await drain(options.server, contender, { jobs, database: open, isPartial: true })
      collector.add(scene, round, { value: drained.jobs / drained.seconds, size: jobs })
    }
  }
  return collector.series
}

export const scaled = (count: number, { scale }: RunOptions): number => Math.max(1_000, Math.round(count * scale))

/** The rate at which a worker begins on tables with more and more jobs that wait. */
export const backlogSuite: Suite = {
  name: 'backlog',
  run: async (options) => {
    const { server } = options
    const contenders = [
      goodJobNode(10),
      goodJobNode(100),
      floor(100, 1),
      floor(100, 1, { isDeferred: true }),
      graphileDefault(10),
      graphileBatching(),
      pgBoss(100),
      goodJobRuby('skiplocked'),
    ]
    const depths = [...new Set([1_000, 100_000, 1_000_000].map((depth) => scaled(depth, options)))]
    const scenes = depths.flatMap((depth) =>
      contenders.map((contender): Scene => {
        const { tables } = contender
        return {
          contender,
          name: `${contender.name}, ${depth.toLocaleString('en')} wait`,
          key: { ...contender.key, waiting: depth },
          family: contender.name,
          x: depth,
          waiting: depth,
          open: () => server.database(`${tables.name} ${depth}`, tables.waiting(depth)),
        }
      }),
    )
    const series = await measureScenes(options, scenes)
    return [{ id: 'backlog', title: 'Many jobs wait', unit: 'jobs/s', xTitle: 'jobs that wait', series }]
  },
}

/** $1 jobs. As a worker leaves the rows: one new version at the start, one at the end. */
const RUN_HEAD = `
UPDATE good_jobs SET locked_by_id = gen_random_uuid(), locked_at = now(), lock_type = 2, performed_at = now(), executions_count = 1
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL ORDER BY priority, created_at LIMIT $1)`
const FINISH_HEAD = `
UPDATE good_jobs SET finished_at = now(), locked_by_id = NULL, locked_at = NULL, lock_type = NULL
WHERE locked_by_id IS NOT NULL`

/** Enough for several of the worker's queries at an expensive head of the queue, which come at most every five seconds. */
export const MANY_LOOKS_JOBS = 60_000

/** Jobs done since the last vacuum: their entries are still at the head of every index of what waits. */
export const vacuumSuite: Suite = {
  name: 'vacuum',
  run: async (options) => {
    const { server } = options
    const done = scaled(240_000, options)
    const waiting = scaled(1_000_000, options)
    const contenders = [goodJobNode(10), goodJobNode(100), floor(10, 1), floor(100, 1)]
    const scenes = [true, false].flatMap((isVacuumed) =>
      contenders.map(
        (contender): Scene => ({
          contender,
          name: `${contender.name}, ${isVacuumed ? 'vacuumed' : 'not vacuumed'}`,
          key: { ...contender.key, place: isVacuumed ? 'vacuumed' : 'not vacuumed' },
          family: isVacuumed ? 'vacuumed' : 'not vacuumed',
          x: 0,
          waiting,
          jobs: MANY_LOOKS_JOBS,
          open: () =>
            server.database(`vacuum ${isVacuumed}`, async (client) => {
              await goodJobsWaiting({ jobs: done + waiting })(client)
              // In both, so that no vacuum happens during a measurement.
              await client.query('ALTER TABLE good_jobs SET (autovacuum_enabled = off)')
              for (let rest = done; rest > 0; rest -= 10_000) {
                await client.query(RUN_HEAD, [Math.min(rest, 10_000)])
                await client.query(FINISH_HEAD)
              }
              if (isVacuumed) await settle(client)
            }),
        }),
      ),
    )
    const series = await measureScenes(options, scenes)
    for (const isVacuumed of [true, false]) await server.forget(`vacuum ${isVacuumed}`)
    return [
      {
        id: 'vacuum',
        title: `${done.toLocaleString('en')} jobs done since the last vacuum, ${waiting.toLocaleString('en')} wait`,
        unit: 'jobs/s',
        series,
      },
    ]
  },
}
