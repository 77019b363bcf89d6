import { Adapter } from '../../dist/index.js'
import { createDatabase } from '../../test/support/postgres.ts'
import { type NodeWorker, SWEEPS_OFTEN, startNodeWorker } from '../node-worker.ts'
import { type BootOptions, RailsApp, type RailsWeb, type RailsWorker } from '../rails-app.ts'

type RailsOptions = Pick<BootOptions, 'goodJobVersion'>

/** Rails on an empty database of its own, which `stop()` of the app drops. */
export const bootRails = async (options: RailsOptions = {}): Promise<RailsApp> => {
  const database = await createDatabase({ template: 'empty' })
  return RailsApp.boot({ ...options, databaseUrl: database.url, whenStopped: () => database.drop() })
}

/** An adapter in this process on the database of the app, whose `stop()` closes it. */
export const openAdapter = (app: RailsApp, options: { readonly globalidApp?: string } = {}): Adapter => {
  const adapter = new Adapter({ databaseUrl: app.databaseUrl, ...options })
  app.closeFirst(() => adapter.close())
  return adapter
}

/** Both sides at work on one database; `app.stop()` ends them all. */
export interface MixedFleet {
  readonly app: RailsApp
  readonly adapter: Adapter
  readonly web: RailsWeb
  readonly ruby: RailsWorker
  /** It knows the classes of both sides, serves queue 'node' and sweeps batches all the time. */
  readonly node: NodeWorker
}

export const bootMixedFleet = async (options: RailsOptions = {}): Promise<MixedFleet> => {
  const app = await bootRails(options)
  try {
    const adapter = openAdapter(app)
    const [web, ruby, node] = await Promise.all([
      app.startWeb(),
      app.startWorker(),
      startNodeWorker(app, { jobs: 'both', options: SWEEPS_OFTEN }),
    ])
    return { app, adapter, web, ruby, node }
  } catch (error) {
    await app.stop()
    throw error
  }
}
