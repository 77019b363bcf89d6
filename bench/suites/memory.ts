import { setTimeout as sleep } from 'node:timers/promises'
import { goodJobNode } from '../contenders.ts'
import { bootWorker, untilNothingLeft } from '../drain.ts'
import { Collector, type MeasuredFigure, type RunOptions, type Suite } from '../run.ts'
import { goodJobsWaiting } from '../seed.ts'

const JOBS = 1_000_000
const LARGE_JOBS = 60
const SAMPLES = 20

/** What the process holds while it works through `jobs`, at every twentieth part. */
const sampleDrain = async (
  { server }: RunOptions,
  { jobs, argumentBytes = 0, threads }: { jobs: number; argumentBytes?: number; threads: number },
  sample: (ran: number, rssMb: number) => void,
): Promise<void> => {
  const contender = goodJobNode(threads)
  const database = await server.database(`memory ${jobs} ${argumentBytes}`, goodJobsWaiting({ jobs, argumentBytes }))
  const worker = await bootWorker(contender, database.url)
  sample(0, (await worker.usage()).rssMb)
  await worker.start()
  for (let part = 1; part <= SAMPLES; part += 1) {
    while (worker.count < (jobs * part) / SAMPLES) await sleep(10)
    sample(worker.count, (await worker.usage()).rssMb)
  }
  await untilNothingLeft(database, contender.tables.left)
  await worker.stop()
  await database.drop()
}

/** Memory of the worker's process over a long drain, and with large arguments. One round: it is a curve, not a race. */
export const memorySuite: Suite = {
  name: 'memory',
  run: async (options) => {
    const figure = async (id: string, title: string, drain: Parameters<typeof sampleDrain>[1]) => {
      const collector = new Collector(options.say)
      await sampleDrain(options, drain, (ran, rssMb) => {
        const named = {
          name: `after ${ran.toLocaleString('en')} jobs`,
          family: `${drain.threads} threads`,
          x: Math.max(1, ran),
        }
        collector.add(named, 1, { value: rssMb, size: drain.jobs })
      })
      return { id, title, unit: 'MB', xTitle: 'jobs done', series: collector.series } satisfies MeasuredFigure
    }
    const jobs = Math.max(10_000, Math.round(JOBS * options.scale))
    return [
      await figure('memory', `Memory of the process while ${jobs.toLocaleString('en')} jobs run`, {
        jobs,
        threads: 100,
      }),
      await figure('memory-large', `Memory while ${LARGE_JOBS} jobs with arguments of 10 MB run`, {
        jobs: LARGE_JOBS,
        argumentBytes: 10_000_000,
        threads: 5,
      }),
    ]
  },
}
