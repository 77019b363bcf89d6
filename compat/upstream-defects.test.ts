import { afterAll, beforeAll, expect, test } from 'vitest'
import { GOOD_JOB_VERSIONS, isAtLeast, type RailsApp, type RailsWeb, type RailsWorker } from './rails-app.ts'
import { type BatchOptions, type BatchState, resultOf, TestBatch, theResult } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** Ruby alone, no process in Node: how GoodJob's batches end when a person or a crash interferes (GoodJob #1450 and relatives). */
describeWithRuby.each(GOOD_JOB_VERSIONS)('GoodJob %s by itself', (goodJobVersion) => {
  let app: RailsApp
  let web: RailsWeb
  let worker: RailsWorker

  beforeAll(async () => {
    app = await bootRails({ goodJobVersion })
    ;[worker, web] = await Promise.all([app.startWorker(), app.startWeb()])
  })

  afterAll(() => app.stop())

  const enqueue = (options: BatchOptions) => TestBatch.enqueue(app, options)
  const callJob = (id: string, call: string) => app.run(`GoodJob::Job.find(args[:id]).${call}; nil`, { id })
  const retryBatch = (batch: TestBatch) => app.run('GoodJob::Batch.find(args[:id]).retry; nil', { id: batch.id })

  /** A batch of one good member and bad ones, which are discarded before the good one ends. */
  const discardedBatch = async (bad: Readonly<Record<string, number>>, options: Omit<BatchOptions, 'members'> = {}) => {
    const members = Object.entries(bad).map(([name, fails]) => ({ name, fails }))
    const batch = await enqueue({ members: [...members, { name: 'good', waits: true }], ...options })
    for (const { name } of members) await batch.untilEnded(name)
    // Its end also checks the batch, and would complete a batch to which another callback is just adding jobs.
    await batch.untilCallbackEnded('discard')
    await batch.letGo('good')
    return batch
  }

  /** The batch after the worker has run other jobs: shows whether it still changes. */
  const stateAfterMoreWork = async (batch: TestBatch): Promise<BatchState> => {
    const other = await enqueue({ members: [{ name: 'other' }] })
    expect(resultOf(await other.settled())).toEqual(theResult('succeeded', 'success', 'finish'))
    return batch.settled()
  }

  const WAYS: readonly (readonly [string, (id: string) => Promise<unknown>])[] = [
    ['in the console', (id) => callJob(id, 'retry_job')],
    ['by the dashboard', async (id) => expect((await web.visit().job(id, 'retry')).notice).toMatch(/has been retried/)],
    [
      'by the dashboard for many',
      async (id) => expect((await web.visit().mass('retry', [id])).notice).toMatch(/Successfully retried 1 job/),
    ],
  ]

  test.each(WAYS)(
    '0: the only discarded job, retried %s, succeeds and the batch stays discarded',
    async (_way, retry) => {
      const batch = await discardedBatch({ bad: 1 })
      expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'discard', 'finish'))
      await retry(batch.job('bad'))
      const state = await batch.settled()
      expect(state.members).toEqual({ good: 'succeeded', bad: 'succeeded' })
      expect(resultOf(state)).toEqual(theResult('discarded', 'discard', 'finish'))
    },
  )

  test('a: the last unfinished job, discarded manually, leaves the batch unfinished for ever', async () => {
    const batch = await enqueue({ members: [{ name: 'good' }, { name: 'later', startsIn: 3600 }] })
    await batch.untilEnded('good')
    await callJob(batch.job('later'), `discard_job('manually')`)
    const state = await stateAfterMoreWork(batch)
    expect(state.members).toEqual({ good: 'succeeded', later: 'discarded' })
    expect(resultOf(state)).toEqual(theResult('open'))
  })

  test('b: a discarded job, retried while others run, succeeds and the batch ends discarded', async () => {
    const batch = await enqueue({
      members: [
        { name: 'bad', fails: 1 },
        { name: 'good', waits: true },
      ],
    })
    await batch.untilEnded('bad')
    await callJob(batch.job('bad'), 'retry_job')
    await batch.untilEnded('bad')
    await batch.letGo('good')
    const state = await batch.settled()
    expect(state.members).toEqual({ bad: 'succeeded', good: 'succeeded' })
    expect(resultOf(state)).toEqual(theResult('discarded', 'discard', 'finish'))
  })

  test('c: several discarded jobs, retried one by one, succeed and the batch stays discarded', async () => {
    const batch = await discardedBatch({ bad: 1, worse: 1 })
    await batch.settled()
    for (const name of ['bad', 'worse']) {
      await callJob(batch.job(name), 'retry_job')
      expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'discard', 'finish'))
    }
    expect((await batch.state()).members).toEqual({ good: 'succeeded', bad: 'succeeded', worse: 'succeeded' })
  })

  // Batch#retry came with 4.2.0.
  if (isAtLeast(goodJobVersion, '4.2.0')) {
    test('d: after a retry of the batch fails again, a retry of the job succeeds and the batch stays discarded', async () => {
      const batch = await discardedBatch({ bad: 2 })
      await batch.settled()
      await retryBatch(batch)
      expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'discard', 'finish', 'discard', 'finish'))
      await callJob(batch.job('bad'), 'retry_job')
      const state = await batch.settled()
      expect(state.members).toEqual({ good: 'succeeded', bad: 'succeeded' })
      expect(resultOf(state)).toEqual(theResult('discarded', 'discard', 'finish', 'discard', 'finish'))
    })

    test('f: a retry of the batch after its discarded job was destroyed calls on_success although work was lost', async () => {
      const batch = await discardedBatch({ bad: 1 })
      await batch.settled()
      await callJob(batch.job('bad'), 'destroy_job')
      await retryBatch(batch)
      const state = await batch.settled()
      expect(state.members).toEqual({ good: 'succeeded' })
      expect(resultOf(state)).toEqual(theResult('succeeded', 'discard', 'finish', 'success', 'finish'))
    })
  }

  test('g: one job discarded manually while the others succeed leaves a succeeded batch', async () => {
    const batch = await enqueue({
      members: [
        { name: 'good', waits: true },
        { name: 'later', startsIn: 3600 },
      ],
    })
    await batch.untilStarted('good')
    await callJob(batch.job('later'), `discard_job('manually')`)
    await batch.letGo('good')
    const state = await batch.settled()
    expect(state.members).toEqual({ good: 'succeeded', later: 'discarded' })
    expect(resultOf(state)).toEqual(theResult('succeeded', 'success', 'finish'))
  })

  test('h: a kill between the outcome of the last job and the bookkeeping leaves the batch unfinished for ever', async () => {
    const batch = await enqueue({ members: [{ name: 'good', waits: true }] })
    await batch.untilStarted('good')
    const held = await batch.hold()
    await batch.letGo('good')
    await eventually('the bookkeeping has begun', async () => (await held.waiters()) === 1)
    await worker.kill()
    await eventually('it has died with its process', async () => (await held.waiters()) === 0)
    await held.release()
    worker = await app.startWorker()
    const state = await stateAfterMoreWork(batch)
    expect(state.members).toEqual({ good: 'succeeded' })
    expect(resultOf(state)).toEqual(theResult('open'))
  })

  test('k: a job that is discarded while the last successful one ends fires on_success and on_discard', async () => {
    const batch = await enqueue({
      members: [
        { name: 'good', waits: true },
        { name: 'bad', waits: true, fails: 1 },
      ],
    })
    await batch.endBeforeBookkeeping('good', 'bad')
    expect(resultOf(await batch.settled())).toEqual(theResult('discarded', 'success', 'discard', 'finish'))
  })

  test('l: a running job that is force-discarded and then succeeds stays discarded in a batch that succeeded', async () => {
    const batch = await enqueue({ members: [{ name: 'good', waits: true }] })
    await batch.untilStarted('good')
    await callJob(batch.job('good'), `force_discard_job('manually')`)
    await batch.letGo('good')
    const state = await batch.settled()
    expect(state.members).toEqual({ good: 'discarded' })
    expect(resultOf(state)).toEqual(theResult('succeeded', 'success', 'finish'))
  })

  test('m: a callback that adds a stage after a discard leaves a succeeded batch', async () => {
    const batch = await discardedBatch(
      { bad: 1 },
      { onFinish: 'NextStageCallbackJob', properties: { next_member: 'second stage' } },
    )
    const state = await batch.settled()
    expect(state.members).toEqual({ good: 'succeeded', bad: 'discarded', added: 'succeeded' })
    expect(resultOf(state)).toEqual(
      // Enqueuing a batch again clears discarded_at since 4.3.0.
      isAtLeast(goodJobVersion, '4.3.0')
        ? theResult('succeeded', 'discard', 'finish', 'success', 'finish')
        : theResult('discarded', 'discard', 'finish', 'finish'),
    )
  })

  test('i: a callback class that is unknown where the last job ends loses every callback', async () => {
    const batch = await enqueue({ members: [{ name: 'good', waits: true }], onSuccess: 'OnlyInNodeJob' })
    await batch.letGo('good')
    const state = await stateAfterMoreWork(batch)
    expect(state.members).toEqual({ good: 'succeeded' })
    // Before 4.1.1 no transaction encloses the bookkeeping, so finished_at stays.
    expect(resultOf(state)).toEqual(theResult(isAtLeast(goodJobVersion, '4.1.1') ? 'open' : 'succeeded'))
    const errors = await app.events('thread_error', { error: 'NameError' })
    expect(errors.map(({ payload }) => payload.message)).toEqual([expect.stringContaining('OnlyInNodeJob')])
  })
})
