import { afterAll, beforeAll, expect, test } from 'vitest'
import { goodJob, SWEEPS_OFTEN, startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { resultOf, TestBatch, theResult } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const CALLBACKS = `
  SELECT serialized_params #>> '{arguments,1,event,value}' AS event, substr(id::text, 15, 1) = '7' AS "isOfNode"
  FROM good_jobs WHERE batch_callback_id = $1 ORDER BY created_at, event`

/**
 * GoodJob commits the outcome of a member first. Whether the member is discarded it then asks the object in its memory, not the row: so
 * it discards a batch for a failure that has been retried successfully since.
 */
describeWithRuby('a Ruby worker held up between the outcome of a member and the bookkeeping of its batch', () => {
  let app: RailsApp

  beforeAll(async () => {
    app = await bootRails()
  })
  afterAll(() => app.stop())

  test('discards the batch that has recovered since, with a second on_discard; Node recovers it again without a callback', async () => {
    const batch = await TestBatch.enqueue(app, { members: [{ name: 'bad', waits: true, fails: 1 }] })
    const bookkeeping = await shutGate(app.databaseUrl, `bookkeeping of ${batch.id}`)
    const ruby = await app.startWorker({ queues: '*', threads: 1, env: { COMPAT_HOLDS_BOOKKEEPING: '1' } })
    await batch.untilStarted('bad')
    await batch.letGo('bad')
    await batch.untilMember('bad', 'discarded')
    await eventually('Ruby is held up', async () => (await bookkeeping.waiters()) === 1)

    const node = await startNodeWorker(app, {
      jobs: 'both',
      queues: '*',
      options: SWEEPS_OFTEN,
    })
    await eventually('Node has discarded it', async () => (await batch.state()).isDiscarded)
    await goodJob(app, ['jobs', 'retry', batch.job('bad')])
    await batch.untilMember('bad', 'succeeded')
    await eventually('the batch has come back', async () => {
      const state = await batch.state()
      return state.isFinished && !state.isDiscarded
    })
    await bookkeeping.release()
    await batch.untilEnded('bad')
    await ruby.stop()
    await eventually('the batch has come back once more', async () => {
      const { isDiscarded, callbacks } = await batch.state()
      return callbacks.length === 4 && !isDiscarded
    })
    const given = (await app.pool.query(CALLBACKS, [batch.id])).rows
    expect(given).toEqual([
      { event: 'discard', isOfNode: true },
      { event: 'finish', isOfNode: true },
      { event: 'success', isOfNode: true },
      { event: 'discard', isOfNode: false },
    ])
    await node.stop()
    expect(resultOf(await batch.settled())).toEqual(theResult('succeeded', 'discard', 'discard', 'finish', 'success'))
    expect(node.program.words()).not.toContain('batch_false_success')
  })
})
