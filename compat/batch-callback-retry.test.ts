import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Adapter } from '../dist/index.js'
import { goodJob, type NodeWorker } from './node-worker.ts'
import type { RailsApp, RailsWeb } from './rails-app.ts'
import { type CallbackEvent, type Member, resultOf, TestBatch, theResult } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { bootMixedFleet } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const WAYS = ['the button', 'the console', 'the API', 'the command line'] as const
type Way = (typeof WAYS)[number]

const CLASSES = { Ruby: 'FailingCallbackJob', Node: 'Node::FailingCallbackJob' } as const
type Side = keyof typeof CLASSES

const CASES = WAYS.flatMap((way) => (['Ruby', 'Node'] as const).map((side) => [way, side] as const))

/** The failure of a callback affects the callback only: it neither discards nor delays the batch. */
describeWithRuby.each(['4.23.1', '4.0.3'] as const)(
  'a callback job that is discarded itself, beside GoodJob %s',
  (goodJobVersion) => {
    let app: RailsApp
    let web: RailsWeb
    let node: NodeWorker
    let adapter: Adapter

    beforeAll(async () => {
      ;({ app, adapter, web, node } = await bootMixedFleet({ goodJobVersion }))
    })

    afterAll(() => app.stop())

    const enqueue = (side: Side, ...members: readonly Member[]) => {
      const name = CLASSES[side]
      return TestBatch.enqueue(app, { members, onSuccess: name, onFinish: name, onDiscard: name })
    }

    const retry = async (way: Way, id: string): Promise<void> => {
      if (way === 'the button') expect((await web.visit().job(id, 'retry')).notice).toMatch(/has been retried/)
      else if (way === 'the console') await app.run('GoodJob::Job.find(args[:id]).retry_job; nil', { id })
      else if (way === 'the API') await adapter.retryJob(id)
      else expect(await goodJob(app, ['jobs', 'retry', id])).toMatchObject({ exitCode: 0 })
    }

    /** The ended callbacks of the batch, and where they ran. */
    const toldOf = async (batch: TestBatch): Promise<string[]> => {
      const ended = await app.events('callback', { batch_id: batch.id })
      return ended.map(({ payload }) => `${payload.event} in ${payload.side}`).toSorted()
    }

    const isWell = async (batch: TestBatch, side: Side, ...callbacks: CallbackEvent[]): Promise<void> => {
      const wanted = theResult('succeeded', ...callbacks)
      await eventually('the batch is well', async () => {
        expect(resultOf(await batch.settled())).toEqual(wanted)
        return true
      })
      await node.untilSwept(2)
      expect(resultOf(await batch.settled())).toEqual(wanted)
      expect(await toldOf(batch)).toEqual(callbacks.map((event) => `${event} in ${side.toLowerCase()}`).toSorted())
    }

    test.each(CASES)(
      'is retried by %s and runs in %s: no other callback is enqueued, and the batch has succeeded',
      async (way, side) => {
        const batch = await enqueue(side, { name: 'good', waits: true })
        await batch.letCallbackFail('success', 1)
        await batch.letGo('good')
        const id = await batch.untilCallbackEnded('success')
        expect(resultOf(await batch.settled())).toEqual(theResult('succeeded', 'success', 'finish'))
        expect(await toldOf(batch)).toEqual([`finish in ${side.toLowerCase()}`])

        await retry(way, id)
        await batch.untilCallbackEnded('success')
        await isWell(batch, side, 'success', 'finish')
      },
    )

    test.each(CASES)(
      'on_discard, retried by %s in %s after its batch has recovered, still reports the discard',
      async (way, side) => {
        const batch = await enqueue(side, { name: 'bad', waits: true, fails: 1 })
        await batch.letCallbackFail('discard', 1)
        await batch.letGo('bad')
        const id = await batch.untilCallbackEnded('discard')
        expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'discard', 'finish'))
        await adapter.retryJob(batch.job('bad'))
        await eventually('the batch has come back', async () => resultOf(await batch.state()).status === 'succeeded')
        expect(resultOf(await batch.settled())).toEqual(theResult('succeeded', 'discard', 'finish', 'success'))

        await retry(way, id)
        await batch.untilCallbackEnded('discard')
        await isWell(batch, side, 'discard', 'finish', 'success')
      },
    )
  },
)
