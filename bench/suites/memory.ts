import { setTimeout as sleep } from 'node:timers/promises'
import { type Contender, goodJobNode, goodJobNodeDeferring } from '../contenders.ts'
import { bootWorker, untilNothingLeft } from '../drain.ts'
import { Collector, type MeasuredFigure, type RunOptions, type Suite } from '../run.ts'
import { goodJobsWaiting } from '../seed.ts'

const JOBS = 1_000_000
const LARGE_JOBS = 60
const SAMPLES = 20

interface Drain {
  readonly contender: Contender
  readonly jobs: number
  readonly argumentBytes?: number
}

/** The memory of the process while it runs `jobs`, at every twentieth part; `ran` is the part, a few more may have run. */
const sampleDrain = async (
  { server }: RunOptions,
  { contender, jobs, argumentBytes = 0 }: Drain,
  sample: (ran: number, rssMb: number) => void,
): Promise<void> => {
  const database = await server.database(`memory ${jobs} ${argumentBytes}`, goodJobsWaiting({ jobs, argumentBytes }))
  const worker = await bootWorker(contender, database.url)
  sample(0, (await worker.usage()).rssMb)
  await worker.start()
  for (let part = 1; part <= SAMPLES; part += 1) {
    const ran = Math.round((jobs * part) / SAMPLES)
    while (worker.count < ran) await sleep(10)
    sample(ran, (await worker.usage()).rssMb)
  }
  await untilNothingLeft(database, contender.tables.left)
  await worker.stop()
  await database.drop()
}

/** Memory of the worker's process over a long drain, and with large arguments. */
export const memorySuite: Suite = {
  name: 'memory',
  run: async (options) => {
    const figure = async (id: string, title: string, drains: readonly Drain[]) => {
      const collector = new Collector(options.say)
      for (let round = 1; round <= options.rounds; round += 1) {
        for (const drain of drains) {
          const { name, key } = drain.contender
          await sampleDrain(options, drain, (ran, rssMb) => {
            const after = `${name}, after ${ran.toLocaleString('en')} jobs`
            const named = { name: after, key: { ...key, done: ran }, family: name, x: ran }
            collector.add(named, round, { value: rssMb, size: drain.jobs })
          })
        }
      }
      return {
        id,
        title,
        unit: 'MB',
        xTitle: 'jobs done',
        isLinear: true,
        series: collector.series,
      } satisfies MeasuredFigure
    }
    const jobs = Math.max(10_000, Math.round(JOBS * options.scale))
    const contenders = [goodJobNode(100), ...goodJobNodeDeferring([500])]
    return [
      await figure(
        'memory',
        `Memory of the process while ${jobs.toLocaleString('en')} jobs run`,
        contenders.map((contender) => ({ contender, jobs })),
      ),
      await figure('memory-large', `Memory while ${LARGE_JOBS} jobs with arguments of 10 MB run`, [
        { contender: goodJobNode(5), jobs: LARGE_JOBS, argumentBytes: 10_000_000 },
      ]),
    ]
  },
}
