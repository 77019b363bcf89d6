import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Batch, BatchUnprovenError } from '../dist/index.js'
import { goodJob, type NodeWorker } from './node-worker.ts'
import { isAtLeast, type RailsApp, type RailsWeb, type RailsWorker } from './rails-app.ts'
import { type BatchOptions, type Member, resultOf, TestBatch, theResult } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { bootMixedFleet } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const RUBY = 'default'
const NODE = 'node'

/** The newest version and the one without jobs_finished_at go through all of it; the others through the core, marked here. */
const VERSIONS = [
  ['4.23.1', true],
  ['4.19.2', false],
  ['4.9.3', false],
  ['4.0.3', true],
] as const

/** The defects of upstream-defects.test.ts once more, by the same letters, with a process in Node beside Ruby's. */
describeWithRuby.each(VERSIONS)('beside GoodJob %s, with a process in Node', (goodJobVersion, isWhole) => {
  /** All cases for the newest versions, the last case for the others. */
  const core = <T>(all: readonly T[]): readonly T[] => (isWhole ? all : all.slice(-1))

  let app: RailsApp
  let web: RailsWeb
  let ruby: RailsWorker
  let node: NodeWorker
  let adapter: Adapter

  beforeAll(async () => {
    ;({ app, adapter, web, ruby, node } = await bootMixedFleet({ goodJobVersion }))
  })

  afterAll(() => app.stop())

  const enqueue = (members: readonly Member[], options: Omit<BatchOptions, 'members'> = {}) =>
    TestBatch.enqueue(app, { members, ...options })
  const callJob = (id: string, call: string) => app.run(`GoodJob::Job.find(args[:id]).${call}; nil`, { id })
  const retryInRuby = (batch: TestBatch) => app.run('GoodJob::Batch.find(args[:id]).retry; nil', { id: batch.id })

  /** The result once it is stable over several sweeps of Node. */
  const untilResult = async (batch: TestBatch, ...[status, ...callbacks]: Parameters<typeof theResult>) => {
    const wanted = theResult(status, ...callbacks)
    await eventually(`${batch.id} is ${JSON.stringify(wanted)}`, async () => {
      const state = resultOf(await batch.state())
      expect(state).toEqual(wanted)
      return true
    })
    await node.untilSwept(2)
    expect(resultOf(await batch.settled())).toEqual(wanted)
  }

  const SIDES = [
    ['Ruby', RUBY],
    ['Node', NODE],
  ] as const

  test.each(core(SIDES))(
    'a: the last unfinished job, discarded by the dashboard after %s did the rest, completes the batch',
    async (_side, queue) => {
      const batch = await enqueue([
        { name: 'good', queue },
        { name: 'later', queue, startsIn: 3600 },
      ])
      await batch.untilEnded('good')
      expect((await web.visit().job(batch.job('later'), 'discard')).notice).toMatch(/discarded/)
      await untilResult(batch, 'discarded', 'discard', 'finish')
    },
  )

  test('a: the last unfinished job, discarded in Node, completes the batch at once', async () => {
    const batch = await enqueue([{ name: 'good' }, { name: 'later', startsIn: 3600 }])
    await batch.untilEnded('good')
    await adapter.discardJob(batch.job('later'))
    expect(await batch.state()).toMatchObject({ isDiscarded: true, areJobsFinished: true })
    await untilResult(batch, 'discarded', 'discard', 'finish')
  })

  if (isAtLeast(goodJobVersion, '4.2.0')) {
    test.each(core(SIDES))(
      'd: a job that failed again after a retry of the batch succeeds at last in %s',
      async (_side, queue) => {
        const batch = await enqueue([
          { name: 'bad', queue, fails: 2 },
          { name: 'good', waits: true },
        ])
        await batch.untilEnded('bad')
        await batch.letGo('good')
        await batch.settled()
        await retryInRuby(batch)
        await batch.settled()
        await callJob(batch.job('bad'), 'retry_job')
        await untilResult(batch, 'succeeded', 'discard', 'finish', 'discard', 'finish', 'success')
      },
    )
  }

  test('f: a retry of the batch is refused after its discarded job was destroyed, unless forced', async () => {
    const batch = await enqueue([
      { name: 'bad', fails: 1 },
      { name: 'good', waits: true },
    ])
    await batch.untilEnded('bad')
    await batch.letGo('good')
    await batch.settled()
    await callJob(batch.job('bad'), 'destroy_job')
    const recovery = await (await Batch.find(batch.id, adapter)).retry()
    expect(recovery).toMatchObject({ retriedJobIds: [], recovery: { outcome: 'unproven' } })
    const refused = await goodJob(app, ['batches', 'retry', batch.id])
    expect(refused.exitCode).toBe(1)
    expect(refused.output).toContain(recovery.recovery?.reason)
    await untilResult(batch, 'discarded', 'discard', 'finish')
    expect(await goodJob(app, ['batches', 'recover', '--force', batch.id])).toMatchObject({ exitCode: 0 })
    await untilResult(batch, 'succeeded', 'discard', 'finish', 'success')
  })

  test('f: a retry of the batch is refused while another discarded job exists besides the destroyed one', async () => {
    const batch = await enqueue([
      { name: 'bad', fails: 1 },
      { name: 'good', waits: true },
      { name: 'worse', waits: true, fails: 2 },
    ])
    await batch.untilEnded('bad')
    for (const name of ['good', 'worse']) await batch.letGo(name)
    await batch.settled()
    await callJob(batch.job('bad'), 'destroy_job')
    await expect((await Batch.find(batch.id, adapter)).retry()).rejects.toThrow(BatchUnprovenError)
    await untilResult(batch, 'discarded', 'discard', 'finish')
  })

  test('g: one job discarded in Ruby while Node ends the others makes a discarded batch', async () => {
    const batch = await enqueue([
      { name: 'good', queue: NODE, waits: true },
      { name: 'later', startsIn: 3600 },
    ])
    await batch.untilStarted('good')
    await callJob(batch.job('later'), `discard_job('manually')`)
    await batch.letGo('good')
    await untilResult(batch, 'discarded', 'discard', 'finish')
  })

  test('g: one job discarded in Node while Ruby ends the others makes a discarded batch', async () => {
    const batch = await enqueue([
      { name: 'good', waits: true },
      { name: 'later', startsIn: 3600 },
    ])
    await batch.untilStarted('good')
    await adapter.discardJob(batch.job('later'))
    await batch.letGo('good')
    await untilResult(batch, 'discarded', 'discard', 'finish')
  })

  test('h: a batch that a killed Ruby process left open is completed', async () => {
    const batch = await enqueue([{ name: 'good', waits: true }])
    await batch.untilStarted('good')
    const held = await batch.hold()
    await batch.letGo('good')
    await eventually('the bookkeeping has begun', async () => (await held.waiters()) >= 1)
    await ruby.kill()
    await held.release()
    ruby = await app.startWorker()
    await untilResult(batch, 'succeeded', 'success', 'finish')
  })

  if (isWhole) {
    test('h: a batch whose discard a killed Ruby process left out is completed as discarded', async () => {
      const batch = await enqueue([{ name: 'bad', waits: true, fails: 1 }])
      await batch.untilStarted('bad')
      const held = await batch.hold()
      await batch.letGo('bad')
      await eventually('the bookkeeping has begun', async () => (await held.waiters()) >= 1)
      await ruby.kill()
      await held.release()
      ruby = await app.startWorker()
      await untilResult(batch, 'discarded', 'discard', 'finish')
    })
  }

  const RACES = [
    ['Node', NODE, 'Node', NODE],
    ['Node', NODE, 'Ruby', RUBY],
    ['Ruby', RUBY, 'Node', NODE],
  ] as const
  const ORDERS = [
    ['good', 'bad'],
    ['bad', 'good'],
  ] as const

  test.each(RACES.flatMap((race) => core(ORDERS).map((order) => [...race, ...order] as const)))(
    'k: a good job in %s (%s) and a bad one in %s (%s) that end together, the %s and then the %s one, do not fire on_success',
    async (_good, goodQueue, _bad, badQueue, ...order) => {
      const batch = await enqueue([
        { name: 'good', queue: goodQueue, waits: true },
        { name: 'bad', queue: badQueue, waits: true, fails: 1 },
      ])
      await Promise.all([batch.untilStarted('good'), batch.untilStarted('bad')])
      const held = await batch.hold()
      await batch.letGo(order[0])
      await eventually('its bookkeeping waits', async () => (await held.waiters()) >= 1)
      await batch.letGo(order[1])
      // Two processes wait for the lock; one process writes the second outcome after the first.
      const others = goodQueue === badQueue ? 1 : 2
      await eventually('the other one has run too', async () => {
        return (await batch.hasRun(order[1])) && (await held.waiters()) >= others
      })
      await held.release()
      await untilResult(batch, 'discarded', 'discard', 'finish')
    },
  )

  test('l: a job that Ruby force-discards while Node runs it stays discarded, and so does its batch', async () => {
    const batch = await enqueue([{ name: 'good', queue: NODE, waits: true }])
    await batch.untilStarted('good')
    await callJob(batch.job('good'), `force_discard_job('manually')`)
    await batch.letGo('good')
    await untilResult(batch, 'discarded', 'discard', 'finish')
    expect((await batch.state()).members).toEqual({ good: 'discarded' })
  })

  test('l: a job that Node force-discards while Ruby runs it stays discarded, and so does its batch', async () => {
    const batch = await enqueue([{ name: 'good', waits: true }])
    await batch.untilStarted('good')
    await adapter.forceDiscardJob(batch.job('good'))
    await batch.letGo('good')
    await untilResult(batch, 'discarded', 'discard', 'finish')
    expect((await batch.state()).members).toEqual({ good: 'discarded' })
  })

  test('m: a stage that a Ruby callback adds after a discard does not make a success when Node ends it', async () => {
    const batch = await enqueue(
      [
        { name: 'bad', fails: 1 },
        { name: 'good', waits: true },
      ],
      {
        onFinish: 'NextStageCallbackJob',
        properties: { next_member: 'second stage', next_queue: NODE },
      },
    )
    await batch.untilEnded('bad')
    // While the next callback adds its stage, Ruby sees no unfinished member: a callback that ends then completes the batch.
    await batch.untilCallbackEnded('discard')
    await batch.letGo('good')
    const wiped = isAtLeast(goodJobVersion, '4.3.0')
    await untilResult(batch, 'discarded', 'discard', 'finish', 'finish', ...(wiped ? (['discard'] as const) : []))
  })

  // Before 4.1.1 Ruby sets finished_at and loses the callbacks: no row shows that they are missing.
  if (isAtLeast(goodJobVersion, '4.1.1')) {
    test('i: a callback class that Ruby does not know is enqueued by Node', async () => {
      // Up to 4.19 Ruby's own enqueue also loads the class, if the member has ended by then.
      const batch = await enqueue([{ name: 'good', waits: true }], { onSuccess: 'OnlyInNodeJob' })
      await batch.letGo('good')
      await untilResult(batch, 'succeeded', 'success', 'finish')
      expect(await app.events('callback', { batch_id: batch.id, event: 'success' })).toMatchObject([
        { payload: { side: 'node', job_class: 'OnlyInNodeJob' } },
      ])
    })
  }
})
