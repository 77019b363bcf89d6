import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Batch } from '../dist/index.js'
import type { NodeWorker } from './node-worker.ts'
import type { RailsApp, RailsWeb } from './rails-app.ts'
import { type CallbackEvent, resultOf, TestBatch, theResult } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { bootMixedFleet } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const QUEUES = { Ruby: 'default', Node: 'node' } as const
const SIDES = ['Ruby', 'Node'] as const

type Retrier = 'the dashboard' | 'Node'

/** Rows k and g of upstream-defects.test.ts: Ruby ends every member before the retry, so Node could not prevent it. */
describeWithRuby.each(['4.23.1', '4.0.3'] as const)('on_success that GoodJob %s fired too early', (goodJobVersion) => {
  let app: RailsApp
  let web: RailsWeb
  let node: NodeWorker
  let adapter: Adapter

  beforeAll(async () => {
    ;({ app, adapter, web, node } = await bootMixedFleet({ goodJobVersion }))
  })

  afterAll(() => app.stop())

  const recoveryOf = async (batch: TestBatch): Promise<string> => {
    const { recovery } = await (await Batch.find(batch.id, adapter)).status()
    return recovery.state
  }

  const untilReported = (batch: TestBatch) =>
    eventually('Node has reported it', async () =>
      node.program
        .words()
        .split('\n')
        .some((line) => line.includes('"event":"batch_false_success"') && line.includes(batch.id)),
    )

  const moveTo = (batch: TestBatch, name: string, queue: string) =>
    app.pool.query(
      `UPDATE good_jobs SET queue_name = $2, serialized_params = serialized_params || jsonb_build_object('queue_name', $2::text)
       WHERE id = $1`,
      [batch.job(name), queue],
    )

  const retry = async (by: Retrier, id: string): Promise<void> => {
    if (by === 'Node') await adapter.retryJob(id)
    else expect((await web.visit().job(id, 'retry')).notice).toMatch(/has been retried/)
  }

  /** The callbacks after the recovery of the batch and two more sweeps of Node. */
  const untilRecovered = async (batch: TestBatch, ...callbacks: CallbackEvent[]): Promise<void> => {
    await eventually('the batch is good again', async () => resultOf(await batch.state()).status === 'succeeded')
    await node.untilSwept(2)
    expect(resultOf(await batch.settled())).toEqual(theResult('succeeded', ...callbacks))
  }

  const WAYS = (['the dashboard', 'Node'] as const).flatMap((by) => SIDES.map((side) => [by, side] as const))

  test.each(WAYS)(
    'k: is reported, and is not fired again when %s retries the discarded job and it succeeds in %s',
    async (by, side) => {
      const batch = await TestBatch.enqueue(app, {
        members: [
          { name: 'good', waits: true },
          { name: 'bad', waits: true, fails: 1 },
        ],
      })
      await batch.endBeforeBookkeeping('good', 'bad')
      expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'success', 'discard', 'finish'))
      expect(await recoveryOf(batch)).toBe('false_success')
      await untilReported(batch)

      await moveTo(batch, 'bad', QUEUES[side])
      await retry(by, batch.job('bad'))
      await untilRecovered(batch, 'success', 'discard', 'finish')
    },
  )

  test.each(WAYS)(
    'g: is not fired again when %s retries the job discarded manually, and it fails in Ruby and then succeeds in %s',
    async (by, side) => {
      const batch = await TestBatch.enqueue(app, {
        members: [
          { name: 'good', waits: true },
          { name: 'later', startsIn: 3600, fails: 1 },
        ],
      })
      await batch.untilStarted('good')
      await app.run(`GoodJob::Job.find(args[:id]).discard_job('manually'); nil`, { id: batch.job('later') })
      await batch.letGo('good')
      expect(resultOf(await batch.settled())).toEqual(theResult('succeeded', 'success', 'finish'))
      expect(await recoveryOf(batch)).toBe('false_success')

      await retry(by, batch.job('later'))
      await batch.untilEnded('later')
      expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'success', 'finish', 'discard'))
      expect(await recoveryOf(batch)).toBe('false_success')
      await untilReported(batch)

      await moveTo(batch, 'later', QUEUES[side])
      await retry(by, batch.job('later'))
      await untilRecovered(batch, 'success', 'finish', 'discard')
    },
  )
})
