import { setTimeout as sleep } from 'node:timers/promises'
import { type Contender, goodJobNode } from '../contenders.ts'
import { bootWorker } from '../drain.ts'
import { percentile } from '../figure.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import { addWaiting, fillTables, settle } from '../seed.ts'

const JOBS = 100_000
const OVER_MS = 60_000
/** Jobs that wait, too, but for tomorrow. */
const LATER = 1_000_000
/** The first becomes due when all are inserted and the worker has waited for a moment; a slow machine needs two attempts. */
const LEAD_MS = 5_000
const INSERTED_PER_MS = 10

interface Scene {
  readonly name: string
  readonly contender: Contender
  readonly jobs: number
  readonly later: number
}

/** How late each job started: its argument is the time at which it became due. */
const delaysOf = async (options: RunOptions, scene: Scene): Promise<readonly number[]> => {
  for (let leadMs = LEAD_MS + scene.jobs / INSERTED_PER_MS; ; leadMs *= 2) {
    const delays = await tryDelaysOf(options, scene, leadMs)
    if (delays !== undefined) return delays
  }
}

/** Nothing if jobs were due before the worker had started: their lateness would say nothing. */
const tryDelaysOf = async (
  { server }: RunOptions,
  { contender, jobs, later }: Scene,
  dueFromMs: number,
): Promise<readonly number[] | undefined> => {
  const tomorrow = { dueFromMs: 86_400_000, dueOverMs: 86_400_000 }
  const database = await server.database(`later ${later}`, (client) =>
    fillTables(client, later, () => addWaiting(client, { jobs: later, ageSeconds: 86_400, ...tomorrow })),
  )
  const worker = await bootWorker(contender, database.url)
  try {
    await addWaiting(database.client, { jobs, dueFromMs, dueOverMs: overMs(jobs), isTimed: true })
    await settle(database.client)
    await worker.start()
    const { rowCount: due } = await database.client.query(SELECT_DUE)
    if (due !== 0) return undefined
    while (worker.count < jobs) await sleep(50)
    return await worker.stop()
  } finally {
    worker.kill()
    await database.drop()
  }
}

const SELECT_DUE = `SELECT FROM good_jobs WHERE scheduled_at <= now() AT TIME ZONE 'UTC' LIMIT 1`

/** The rate of the full size. */
const overMs = (jobs: number): number => (OVER_MS * jobs) / JOBS

/** The delay of jobs that become due one after the other, from their scheduled time to the start of `perform`. */
export const scheduledSuite: Suite = {
  name: 'scheduled',
  run: async (options) => {
    const collector = new Collector(options.say)
    const jobs = Math.max(2_000, Math.round(JOBS * options.scale))
    const later = Math.max(20_000, Math.round(LATER * options.scale))
    const alone = [10, 100].map((threads) => goodJobNode(threads))
    const scenes: Scene[] = [
      ...alone.map((contender) => ({ name: contender.name, contender, jobs, later: 0 })),
      ...alone.map((contender) => ({
        name: `${contender.name}, ${later.toLocaleString('en')} due tomorrow`,
        contender,
        jobs,
        later,
      })),
    ]
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const scene of scenes.filter(({ name }) => options.contenders.test(name))) {
        const delays = await delaysOf(options, scene)
        for (const [word, share] of PERCENTILES) {
          const key = {
            ...scene.contender.key,
            place: scene.later === 0 ? 'alone' : 'many due later',
            percentile: word,
          }
          const named = { name: `${scene.name}, ${word}`, key, family: word, x: 0 }
          collector.add(named, round, { value: percentile(delays, share), size: delays.length })
        }
      }
    }
    await options.server.forget(`later ${later}`)
    const title = `${jobs.toLocaleString('en')} jobs that fall due within ${Math.round(overMs(jobs) / 1000)} s: lateness of the start`
    return [{ id: 'scheduled', title, unit: 'ms', series: collector.series }]
  },
}

const PERCENTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
] as const
