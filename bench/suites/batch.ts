import { Adapter, Batch, Job } from '../../dist/index.js'
import { goodJobNode } from '../contenders.ts'
import { drain } from '../drain.ts'
import { alternate, type Suite } from '../run.ts'
import { settle } from '../seed.ts'
import { installSchema } from '../server.ts'

class NoopJob extends Job {
  static override queueAs = 'bench'
  perform(): void {}
}

const jobs = (count: number) => Array.from({ length: count }, () => new NoopJob())

type Fill = (adapter: Adapter, count: number) => Promise<unknown>

const FILLS: readonly { readonly action: string; readonly name: string; readonly fill: Fill }[] = [
  { action: 'plain', name: 'plain jobs', fill: (adapter, count) => adapter.enqueueAll(jobs(count)) },
  {
    action: 'one batch',
    name: 'members of one batch',
    fill: (adapter, count) => new Batch({}, adapter).enqueue(jobs(count)),
  },
  {
    action: 'batches of ten',
    name: 'members of batches of ten',
    fill: async (adapter, count) => {
      for (let rest = count / 10; rest > 0; rest -= 1_000)
        await Batch.enqueueAll(
          Array.from({ length: Math.min(rest, 1_000) }, () => [new Batch({}, adapter), jobs(10)] as const),
        )
    },
  },
]

/** The cost of the batch bookkeeping for the jobs of the batches. */
export const batchSuite: Suite = {
  name: 'batch',
  run: async (options) => {
    const { server } = options
    const count = Math.max(1_000, Math.round(100_000 * options.scale))
    const contender = goodJobNode(100)
    const scenes = FILLS.map(({ action, ...scene }) => ({ ...scene, key: { action }, family: scene.name, x: 0 }))
    const series = await alternate(options, scenes, async ({ name, fill }) => {
      const open = () =>
        server.database(`batch ${name}`, async (client, url) => {
          await installSchema(client)
          const adapter = new Adapter({ databaseUrl: url })
          await fill(adapter, count)
          await adapter.close()
          await settle(client)
        })
      const drained = await drain(server, contender, { jobs: count, database: open })
      return { value: count / drained.seconds, size: count }
    })
    const title = `${count.toLocaleString('en')} jobs in batches, ${contender.name}`
    return [{ id: 'batch', title, unit: 'jobs/s', series }]
  },
}
