import { CLASS_INDEXES } from '../../src/sql/schema/class-indexes.ts'
import { floor, goodJobNode } from '../contenders.ts'
import type { Suite } from '../run.ts'
import {
  addFinished,
  addWaiting,
  createClassIndexAtOnce,
  deleteOurs,
  fillTables,
  settle,
  type Waiting,
} from '../seed.ts'
import type { BenchDatabase, BenchServer } from '../server.ts'
import { MANY_LOOKS_JOBS, measureScenes, type Scene, scaled } from './depth.ts'

const OURS = 70_000

/**
 * Tables with many rows that no measurement changes: the rows of one measurement are deleted and vacuumed before the next. Copying
 * millions of rows would take longer, leave the cache cold, and write every page to the WAL as a whole.
 */
const openBeside = async (
  server: BenchServer,
  name: string,
  rows: number,
  fill: (client: BenchDatabase['client']) => Promise<void>,
  ids: Waiting['ids'] = 'random',
): Promise<BenchDatabase> => {
  const database = await server.shared(name, (client) => fillTables(client, rows, () => fill(client)))
  await deleteOurs(database.client)
  await addWaiting(database.client, { jobs: OURS, ids })
  await settle(database.client)
  return database
}

/** Jobs of other workers, older than all measured jobs. */
export const foreignSuite: Suite = {
  name: 'foreign',
  run: async (options) => {
    const { server } = options
    const jobs = scaled(1_000_000, options)
    const others: Waiting = { jobs, jobClass: 'ForeignJob', ageSeconds: 86_400 }
    const sameQueue = { ...others, queue: 'bench' }
    const node = (queues: string) => ({ ...goodJobNode(100, { queues }), share: 1 })
    const bareFloor = floor(100, 1, { queue: 'bench' })
    const key = { ...bareFloor.key, queues: 'bench' }
    const bare = { ...bareFloor, name: `${bareFloor.name}, queue filter`, key, share: 1 }
    const all = [node('bench'), node('*'), bare]
    const classes = 'behind foreign classes in the same queue'
    const another = { ...others, queue: 'another' }
    const places = [
      { place: 'alone', text: 'alone', others: undefined, contenders: all },
      { place: 'another queue', text: 'behind another queue', others: another, contenders: all },
      {
        place: 'foreign classes',
        text: classes,
        others: sameQueue,
        // The floor skips them in each claim.
        contenders: [node('bench'), node('*'), { ...bare, share: 0.02 }],
      },
      {
        place: 'foreign classes, class index',
        text: `${classes}, with the index that doctor proposes`,
        others: sameQueue,
        contenders: [node('bench')],
        change: createClassIndexAtOnce(CLASS_INDEXES.namedQueue),
      },
    ]
    const scenes = places.flatMap((each) =>
      each.contenders.map(
        (contender): Scene => ({
          contender,
          jobs: MANY_LOOKS_JOBS,
          name: `${contender.name}, ${each.text}`,
          key: { ...contender.key, place: each.place },
          family: each.text,
          x: 0,
          waiting: OURS,
          open: () =>
            openBeside(server, `foreign ${each.place}`, each.others?.jobs ?? 0, async (client) => {
              if (each.others !== undefined) await addWaiting(client, each.others)
              if (each.change !== undefined) await client.query(each.change)
            }),
        }),
      ),
    )
    const series = await measureScenes(options, scenes)
    for (const { place } of places) await server.forget(`foreign ${place}`)
    const title = `${jobs.toLocaleString('en')} unfinished jobs of others in front`
    return [{ id: 'foreign', title, unit: 'jobs/s', series }]
  },
}

/** The history of the last days, all of it with Rails' random ids, beside the jobs that wait. */
export const finishedSuite: Suite = {
  name: 'finished',
  run: async (options) => {
    const { server } = options
    const contenders = [goodJobNode(100), floor(100, 1)]
    const counts = [0, scaled(5_000_000, options)]
    const origins = [
      { origin: 'node', text: 'jobs of this package', ids: 'by time' },
      { origin: 'rails', text: 'jobs of Rails', ids: 'random' },
    ] as const
    const scenes = counts.flatMap((finished) =>
      origins.flatMap(({ origin, text, ids }) =>
        contenders.map((contender): Scene => {
          const family = `${text}, ${finished.toLocaleString('en')} finished beside`
          const fill = (client: BenchDatabase['client']) => addFinished(client, finished)
          return {
            contender,
            name: `${contender.name}, ${family}`,
            key: { ...contender.key, place: finished === 0 ? 'alone' : 'finished rows', origin },
            family,
            x: 0,
            waiting: OURS,
            open: () => openBeside(server, `finished ${finished}`, finished, fill, ids),
          }
        }),
      ),
    )
    const series = await measureScenes(options, scenes)
    for (const finished of counts) await server.forget(`finished ${finished}`)
    return [{ id: 'finished', title: 'Finished jobs beside', unit: 'jobs/s', series }]
  },
}
