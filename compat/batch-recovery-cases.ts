import { afterAll, beforeAll, expect, test } from 'vitest'
import { Adapter } from '../dist/index.js'
import { inTurn } from '../test/support/clean-up.ts'
import { createDatabase, type TestDatabase } from '../test/support/postgres.ts'
import { goodJob, type NodeWorker, startNodeWorker } from './node-worker.ts'
import { type GoodJobVersion, RailsApp, type RailsWeb } from './rails-app.ts'
import { type BatchState, TestBatch } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { describeWithRuby } from './support/ruby.ts'

const WAYS = ['the button', 'the button for many', 'the console', 'the API', 'the command line'] as const
const SIDES = ['Ruby', 'Node'] as const
const WHILE = ['others still run', 'the batch is finished', 'its callbacks are open'] as const
const BROKEN = ['one job', 'two jobs'] as const
const THEN = ['succeeds', 'fails again, then succeeds'] as const

export interface Case {
  readonly way: (typeof WAYS)[number]
  /** Where the retried jobs run; the others run on the other side. */
  readonly runsIn: (typeof SIDES)[number]
  readonly when: (typeof WHILE)[number]
  readonly broken: (typeof BROKEN)[number]
  readonly then: (typeof THEN)[number]
  readonly callbacksIn: (typeof SIDES)[number]
}

const nameOf = ({ way, runsIn, when, broken, then, callbacksIn }: Case): string =>
  `${broken}, retried by ${way} while ${when}, ${then} in ${runsIn}, callbacks in ${callbacksIn}`

/** Every combination. */
const ALL: readonly Case[] = WAYS.flatMap((way) =>
  SIDES.flatMap((runsIn) =>
    WHILE.flatMap((when) =>
      BROKEN.flatMap((broken) =>
        THEN.flatMap((then) => SIDES.map((callbacksIn) => ({ way, runsIn, when, broken, then, callbacksIn }))),
      ),
    ),
  ),
)

const isCore = ({ broken, then, callbacksIn, runsIn }: Case): boolean =>
  broken === 'one job' && then === 'succeeds' && callbacksIn === runsIn

/** One job, retried in each way on each side at each time. */
export const CORE = ALL.filter(isCore)

/** Two jobs, jobs that fail again, callbacks on the other side. */
export const BEYOND_CORE = ALL.filter((one) => !isCore(one))

/** Seconds after which Node checks what Ruby left. */
const SWEEP_INTERVAL = 0.2

const QUEUES = { Ruby: 'default', Node: 'node' } as const
const CALLBACKS = { Ruby: 'BatchCallbackJob', Node: 'Node::BatchCallbackJob' } as const

const isRecovered = ({ isDiscarded, isFinished, callbacks }: BatchState): boolean =>
  !isDiscarded && isFinished && callbacks.includes('success')

/** The tests of these cases beside these versions. */
export const testRecovery = (versions: readonly (readonly [GoodJobVersion, readonly Case[]])[]): void => {
  describeWithRuby.each(versions)('a batch recovers beside GoodJob %s', (goodJobVersion, cases) => {
    let database: TestDatabase
    let app: RailsApp
    let web: RailsWeb
    let node: NodeWorker
    let adapter: Adapter
    const recovered: TestBatch[] = []

    beforeAll(async () => {
      database = await createDatabase({ template: 'empty' })
      app = await RailsApp.boot({ goodJobVersion, databaseUrl: database.url })
      adapter = new Adapter({ databaseUrl: database.url })
      const sweeps = ['--batch-sweep-interval', String(SWEEP_INTERVAL)]
      ;[web, node] = await Promise.all([
        app.startWeb(),
        startNodeWorker(app, { jobs: 'both', queues: 'node', threads: 30, options: sweeps }),
        app.startWorker({ threads: 30 }),
      ])
    })

    afterAll(
      inTurn(
        () => adapter.close(),
        () => app.stop(),
        () => database.drop(),
      ),
    )

    const retry = async (way: Case['way'], ids: readonly string[]): Promise<void> => {
      if (way === 'the button for many') {
        expect((await web.visit().mass('retry', ids)).notice).toMatch(`Successfully retried ${ids.length} job`)
        return
      }
      for (const id of ids) await retryOne(way, id)
    }

    const retryOne = async (way: Exclude<Case['way'], 'the button for many'>, id: string): Promise<void> => {
      if (way === 'the button') expect((await web.visit().job(id, 'retry')).notice).toMatch(/has been retried/)
      else if (way === 'the console') await app.run('GoodJob::Job.find(args[:id]).retry_job; nil', { id })
      else if (way === 'the API') await adapter.retryJob(id)
      else expect(await goodJob(app, ['jobs', 'retry', id])).toMatchObject({ exitCode: 0 })
    }

    const discardedBatch = async ({ runsIn, when, broken, then, callbacksIn }: Case) => {
      const bad = broken === 'one job' ? ['bad'] : ['bad', 'worse']
      const fails = then === 'succeeds' ? 1 : 2
      const batch = await TestBatch.enqueue(app, {
        members: [
          ...bad.map((name) => ({ name, fails, queue: QUEUES[runsIn] })),
          { name: 'good', waits: true, queue: QUEUES[runsIn === 'Ruby' ? 'Node' : 'Ruby'] },
        ],
        onSuccess: CALLBACKS[callbacksIn],
        onFinish: CALLBACKS[callbacksIn],
        onDiscard: CALLBACKS[callbacksIn],
        holdsCallbacks: when === 'its callbacks are open',
      })
      for (const name of bad) await batch.untilEnded(name)
      return { batch, bad }
    }

    test.concurrent.each(cases.map((one) => [nameOf(one), one] as const))('%s', async (_name, one) => {
      const { batch, bad } = await discardedBatch(one)
      if (one.when !== 'others still run') await batch.letGo('good')
      if (one.when === 'the batch is finished') expect((await batch.settled()).isFinished).toBe(true)
      if (one.when === 'its callbacks are open') await batch.untilCallbacksStarted(['discard', 'finish'])

      for (let run = one.then === 'succeeds' ? 2 : 1; run <= 2; run += 1) {
        await retry(
          one.way,
          bad.map((name) => batch.job(name)),
        )
        for (const name of bad) await batch.untilEnded(name)
      }
      await batch.letGo('good')
      await batch.letCallbacksGo()

      await eventually('the batch has recovered', async () => isRecovered(await batch.state()))
      const state = await batch.settled()
      expect(new Set(Object.values(state.members))).toEqual(new Set(['succeeded']))
      expect(state.callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
      const page = await web.visit().open(`/batches/${batch.id}`)
      expect(page.status).toBe(200)
      expect(page.text).toMatch(/"discarded_at": null/)
      expect(page.controls.filter(({ action }) => action.includes(`/batches/${batch.id}/retry`))).toEqual([])
      recovered.push(batch)
    })

    test('and no callback is enqueued a second time, however often the batch is checked', async () => {
      expect(recovered).toHaveLength(cases.length)
      await node.untilSwept(3)
      for (const batch of recovered) {
        const state = await batch.settled()
        expect(state.callbacks.toSorted()).toEqual(['discard', 'finish', 'success'])
        expect(isRecovered(state)).toBe(true)
      }
    })
  })
}
