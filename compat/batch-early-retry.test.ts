import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Batch } from '../dist/index.js'
import { goodJob, type NodeWorker, SWEEPS_OFTEN, startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { resultOf, TestBatch, theResult } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/**
 * GoodJob writes the outcome of a member first and discards the batch in a second transaction. A retry of the member in between
 * succeeds in an attempt that is older than the discard.
 */
describeWithRuby.each(['4.23.1', '4.0.3'] as const)(
  'a member retried before GoodJob %s has discarded its batch',
  (goodJobVersion) => {
    let app: RailsApp
    let adapter: Adapter
    let node: NodeWorker

    beforeAll(async () => {
      app = await bootRails({ goodJobVersion })
      adapter = openAdapter(app)
      const options = SWEEPS_OFTEN
      ;[node] = await Promise.all([startNodeWorker(app, { jobs: 'both', options }), app.startWorker()])
    })

    afterAll(() => app.stop())

    /** A batch whose bad member has been discarded, with Ruby's bookkeeping of that held up. */
    const almostDiscarded = async () => {
      const batch = await TestBatch.enqueue(app, {
        members: [
          { name: 'bad', waits: true, fails: 1 },
          { name: 'good', waits: true },
        ],
      })
      await Promise.all([batch.untilStarted('bad'), batch.untilStarted('good')])
      const held = await batch.hold()
      await batch.letGo('bad')
      await batch.untilMember('bad', 'discarded')
      await eventually('its bookkeeping waits', async () => (await held.waiters()) === 1)
      expect((await batch.state()).isDiscarded).toBe(false)
      return { batch, held, id: batch.job('bad') }
    }

    const hasLookedAgain = async (batch: TestBatch): Promise<void> => {
      await batch.settled()
      await node.untilSwept(3)
    }

    const endWell = async (batch: TestBatch) => {
      await batch.untilEnded('bad')
      await batch.letGo('good')
      await hasLookedAgain(batch)
      const state = await batch.settled()
      expect(state.members).toEqual({ bad: 'succeeded', good: 'succeeded' })
      return resultOf(state)
    }

    test('in Ruby: the batch recovers by itself once that member has succeeded', async () => {
      const { batch, held, id } = await almostDiscarded()
      await app.run('GoodJob::Job.find(args[:id]).retry_job; nil', { id })
      await batch.untilStarted('bad', 2)
      await held.release()
      expect(await endWell(batch)).toEqual(theResult('succeeded', 'discard', 'finish', 'success'))
    })

    test('in Ruby, where it also ends before the discard: the batch recovers without a second on_success', async () => {
      const { batch, held, id } = await almostDiscarded()
      await app.run('GoodJob::Job.find(args[:id]).retry_job; nil', { id })
      await batch.letGo('good')
      for (const name of ['bad', 'good']) await batch.untilMember(name, 'succeeded')
      await eventually('the bookkeeping of all three attempts waits', async () => (await held.waiters()) === 3)
      expect((await batch.state()).isDiscarded).toBe(false)
      await held.release()
      expect(await endWell(batch)).toEqual(theResult('succeeded', 'discard', 'finish', 'success'))
    })

    test('in Ruby, and destroyed afterwards: the batch stays discarded, with the reason, until a forced recovery', async () => {
      const { batch, held, id } = await almostDiscarded()
      await app.run('GoodJob::Job.find(args[:id]).retry_job; nil', { id })
      await batch.untilMember('bad', 'succeeded')
      await held.release()
      await batch.untilEnded('bad')
      await app.run('GoodJob::Job.find(args[:id]).destroy_job; nil', { id })
      await batch.letGo('good')
      await hasLookedAgain(batch)
      const { recovery } = await (await Batch.find(batch.id, adapter)).status()
      expect(recovery).toEqual({ state: 'unproven', reason: expect.any(String) })
      expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'discard', 'finish'))
      expect(await goodJob(app, ['batches', 'recover', '--force', batch.id])).toMatchObject({ exitCode: 0 })
      expect(resultOf(await batch.settled())).toEqual(theResult('succeeded', 'discard', 'finish', 'success'))
    })

    test('in Node waits for the discard, so the batch recovers by itself', async () => {
      const { batch, held, id } = await almostDiscarded()
      const retried = adapter.retryJob(id)
      await eventually('the retry waits too', async () => (await held.waiters()) === 2)
      await held.release()
      await retried
      expect(await endWell(batch)).toEqual(theResult('succeeded', 'discard', 'finish', 'success'))
    })
  },
)
