import { setTimeout as sleep } from 'node:timers/promises'
import { type Contender, goodJobNode } from '../contenders.ts'
import { bootWorker } from '../drain.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import { addWaiting, settle } from '../seed.ts'
import { installSchema } from '../server.ts'

const JOBS = 100_000
const OVER_MS = 60_000
/** The first falls due when the worker has been working for a moment. */
const LEAD_MS = 4_000

interface Lateness {
  readonly p50: number
  readonly p99: number
}

const latenessOf = async ({ server }: RunOptions, contender: Contender, jobs: number): Promise<Lateness> => {
  const database = await server.database('empty', installSchema)
  const overMs = OVER_MS * Math.min(1, jobs / JOBS + 0.05)
  const worker = await bootWorker(contender, database.url)
  await addWaiting(database.client, { jobs, ageSeconds: 0, dueFromMs: LEAD_MS, dueOverMs: overMs })
  await settle(database.client)
  await worker.start()
  while (worker.count < jobs) await sleep(50)
  await sleep(500)
  const { rows } = await database.client.query<Lateness>(`
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99
    FROM (SELECT extract(epoch FROM performed_at - scheduled_at)::float8 * 1000 AS ms FROM good_jobs) AS lateness`)
  await worker.stop()
  await database.drop()
  return rows[0] ?? { p50: Number.NaN, p99: Number.NaN }
}

/** Jobs that fall due one after the other: how late each starts, by its row. */
export const scheduledSuite: Suite = {
  name: 'scheduled',
  run: async (options) => {
    const collector = new Collector(options.say)
    const jobs = Math.max(2_000, Math.round(JOBS * options.scale))
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const contender of [goodJobNode(10), goodJobNode(100)].filter(({ name }) => options.contenders.test(name))) {
        const lateness = await latenessOf(options, contender, jobs)
        for (const word of ['p50', 'p99'] as const)
          collector.add({ name: `${contender.name}, ${word}`, family: word, x: 0 }, round, {
            value: lateness[word],
            size: jobs,
          })
      }
    }
    const title = `${jobs.toLocaleString('en')} jobs that fall due one after the other: lateness`
    return [{ id: 'scheduled', title, unit: 'ms', series: collector.series }]
  },
}
