import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Job, performAllLater } from '../dist/index.js'
import { CountedJob, MemberJob } from './node-jobs.ts'
import { type NodeWorker, startNodeWorker } from './node-worker.ts'
import { GOOD_JOB_VERSIONS, type RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { type Trace, traceOf } from './support/rows.ts'
import { describeWithRuby } from './support/ruby.ts'

type Side = 'Ruby' | 'Node'

const SIDES: readonly Side[] = ['Ruby', 'Node']
/** The worker of each queue; both sides have the class MemberJob. */
const QUEUES = { Ruby: 'default', Node: 'node' } as const

const PAIRS = SIDES.flatMap((first) => SIDES.map((second) => [first, second] as const))

/** Lets a job that waits for its retry run next on this queue. $1 job · $2 queue */
const CALL_TO = `
  UPDATE good_jobs
  SET queue_name = $2, serialized_params = serialized_params || jsonb_build_object('queue_name', $2::text),
      scheduled_at = now() AT TIME ZONE 'UTC'
  WHERE id = $1`

interface JobRow {
  readonly error: string | null
  readonly errorEvent: number | null
  readonly executions: number
  readonly isFinished: boolean
  readonly isWaiting: boolean
  readonly isScheduled: boolean
}

const SELECT_JOB = `
  SELECT
    error,
    error_event AS "errorEvent",
    (SELECT count(*)::integer FROM good_job_executions WHERE active_job_id = good_jobs.id AND finished_at IS NOT NULL) AS executions,
    finished_at IS NOT NULL AND locked_by_id IS NULL AS "isFinished",
    finished_at IS NULL AND performed_at IS NULL AND locked_by_id IS NULL AS "isWaiting",
    scheduled_at > now() AT TIME ZONE 'UTC' + interval '10 minutes' AS "isScheduled"
  FROM good_jobs WHERE id = $1`

describeWithRuby.each(GOOD_JOB_VERSIONS)('on the tables of GoodJob %s', (goodJobVersion) => {
  let app: RailsApp
  let adapter: Adapter
  let node: NodeWorker

  beforeAll(async () => {
    app = await bootRails({ goodJobVersion })
    adapter = openAdapter(app)
    Job.queueAdapter = adapter
    const workers = [startNodeWorker(app, { jobs: 'both' }), app.startWorker({ queues: '-node,unserved' })] as const
    node = (await Promise.all(workers))[0]
  })

  afterAll(() => app.stop())

  const enqueue = async (by: Side, queue: string, name: string, wait?: number): Promise<string> => {
    if (by === 'Node') {
      const job = await MemberJob.set({ queue, ...(wait === undefined ? {} : { wait }) }).performLater(name)
      if (job === false) throw new Error('refused')
      return job.jobId
    }
    return app.run<string>('MemberJob.set(**args[:options].symbolize_keys.compact).perform_later(args[:name]).job_id', {
      name,
      options: { queue, wait },
    })
  }

  const row = async (id: string): Promise<JobRow | undefined> =>
    (await app.pool.query<JobRow>(SELECT_JOB, [id])).rows[0]

  const untilRow = (id: string, wanted: Partial<JobRow>) =>
    eventually(`job ${id} is ${JSON.stringify(wanted)}`, async () => {
      expect(await row(id)).toMatchObject(wanted)
      return true
    })

  /** Acts on a job through Ruby's console or Node's API. */
  const act = async (
    by: Side,
    action: 'retry' | 'discard' | 'force_discard' | 'destroy' | 'reschedule',
    id: string,
  ) => {
    if (by === 'Ruby') {
      const message = action.endsWith('discard') ? `('manually')` : ''
      await app.run(`GoodJob::Job.find(args[:id]).${action}_job${message}; nil`, { id })
    } else if (action === 'retry') await adapter.retryJob(id)
    else if (action === 'discard') await adapter.discardJob(id, 'manually')
    else if (action === 'force_discard') await adapter.forceDiscardJob(id, 'manually')
    else if (action === 'destroy') await adapter.destroyJob(id)
    else await adapter.rescheduleJob(id, new Date())
  }

  const ranIn = async (name: string): Promise<string[]> =>
    (await app.events('performed', { name })).map(({ payload }) => payload.side)

  test.each(PAIRS)('%s enqueues and %s works', async (by, worker) => {
    const name = `${by} to ${worker}`
    const id = await enqueue(by, QUEUES[worker], name)
    await untilRow(id, { isFinished: true, error: null, executions: 1 })
    expect(await ranIn(name)).toEqual([worker.toLowerCase()])
  })

  test.each(PAIRS)('%s enqueues and %s starts the job at its time', async (by, worker) => {
    const name = `${by} to ${worker} later`
    const id = await enqueue(by, QUEUES[worker], name, 0.5)
    await untilRow(id, { isFinished: true, error: null, executions: 1 })
    const early = await app.pool.query('SELECT FROM good_jobs WHERE id = $1 AND performed_at < scheduled_at', [id])
    expect(early.rowCount).toBe(0)
  })

  test.each(PAIRS)('%s retries a job that was discarded in %s', async (by, worker) => {
    const name = `${by} retries ${worker}`
    await app.letFail(name)
    const id = await enqueue('Ruby', QUEUES[worker], name)
    await untilRow(id, { isFinished: true, error: `MemberJob::Failed: ${name} failed on purpose`, errorEvent: 1 })
    await eventually('the job can be retried', async () => {
      await act(by, 'retry', id)
      return true
    })
    await untilRow(id, { isFinished: true, error: null, executions: 2 })
    expect(await ranIn(name)).toEqual([worker.toLowerCase()])
  })

  test.each(SIDES)('%s discards, retries, discards and destroys a waiting job of the other side', async (by) => {
    const id = await enqueue(by === 'Ruby' ? 'Node' : 'Ruby', 'unserved', 'waits', 3600)
    for (let round = 1; round <= 2; round += 1) {
      await act(by, 'discard', id)
      expect(await row(id)).toMatchObject({
        isFinished: true,
        error: 'GoodJob::Job::DiscardJobError: manually',
        errorEvent: 5,
      })
      if (round === 1) await act(by, 'retry', id)
    }
    await act(by, 'destroy', id)
    expect(await row(id)).toBeUndefined()
  })

  test.each(PAIRS)('%s reschedules a waiting job of %s', async (by, worker) => {
    const name = `${by} reschedules ${worker}`
    const id = await enqueue(by, QUEUES[worker], name, 3600)
    await act(by, 'reschedule', id)
    await untilRow(id, { isFinished: true, error: null })
    expect(await ranIn(name)).toEqual([worker.toLowerCase()])
  })

  test.each(PAIRS)('%s force-discards a job that runs in %s, and the job stays discarded', async (by, worker) => {
    const name = `${by} forces ${worker}`
    const gate = await shutGate(app.databaseUrl, name)
    const id = await enqueue(by, QUEUES[worker], name)
    await eventually('it runs', async () => (await app.events('started', { name })).length)
    await act(by, 'force_discard', id)
    await gate.release()
    await eventually('its work is over', async () => (await ranIn(name)).length)
    await untilRow(id, { isFinished: true, error: 'GoodJob::Job::DiscardJobError: manually', errorEvent: 5 })
  })

  test.each(PAIRS)('%s enqueues many at once and %s works them', async (by, worker) => {
    const names = [1, 2, 3, 4, 5].map((number) => `${by} many to ${worker} ${number}`)
    if (by === 'Node') {
      const jobs = names.map((name) => new MemberJob(name))
      for (const job of jobs) job.queueName = QUEUES[worker]
      await performAllLater(jobs)
    } else {
      await app.run(
        'ActiveJob.perform_all_later(args[:names].map { |name| MemberJob.new(name).set(queue: args[:queue]) }); nil',
        { names, queue: QUEUES[worker] },
      )
    }
    await eventually('all have run', async () => {
      const ran = await Promise.all(names.map(ranIn))
      return ran.every(([side]) => side === worker.toLowerCase())
    })
  })

  const SEQUENCES: readonly (readonly [string, readonly [Side, Side, Side]])[] = [
    ['Node only', ['Node', 'Node', 'Node']],
    ['Ruby, Node, Node', ['Ruby', 'Node', 'Node']],
    ['Node, Ruby, Node', ['Node', 'Ruby', 'Node']],
    ['Node, Node, Ruby', ['Node', 'Node', 'Ruby']],
  ]

  /** A job that fails on these sides one after the other, according to its rows. */
  const countedTrace = async ([first, ...others]: readonly [Side, Side, Side]): Promise<
    Pick<Trace, 'job' | 'executions'>
  > => {
    const id = await app.run<string>('CountedJob.set(queue: args[:queue]).perform_later(1, a: :b).job_id', {
      queue: QUEUES[first],
    })
    for (const [index, side] of others.entries()) {
      await untilRow(id, { executions: index + 1, isWaiting: true, isScheduled: true })
      await app.pool.query(CALL_TO, [id, QUEUES[side]])
      await eventually(
        'a worker takes it',
        async () => (await row(id))?.isScheduled !== false || (await row(id))?.isFinished,
      )
    }
    await untilRow(id, { executions: 3, isFinished: true })
    const { rows } = await app.pool.query<{ id: string }>('SELECT id FROM good_job_processes')
    const { job, executions } = await traceOf(app.pool, id, new Map(rows.map((process) => [process.id, 'a process'])))
    const queues = new Set<unknown>(Object.values(QUEUES))
    const withoutQueue = (of: Trace['job']): Trace['job'] =>
      JSON.parse(JSON.stringify(of), (_key, value) => (queues.has(value) ? 'a queue' : value))
    return { job: withoutQueue(job), executions: executions.map(withoutQueue) }
  }

  test('three failed attempts end a job, on whichever side each of them fails', async () => {
    const measure = await countedTrace(['Ruby', 'Ruby', 'Ruby'])
    expect(measure.job).toMatchObject({ error: 'CountedJob::Failed: attempt 3', executions_count: 3 })
    for (const [name, sides] of SEQUENCES) expect(await countedTrace(sides), name).toEqual(measure)
  })

  test('a job enqueued by Node has the same row as one enqueued by Ruby', async () => {
    const inRuby = await app.run<string>(
      `CountedJob.set(queue: 'unserved', priority: 3).perform_later(1, 'ä', nil, [2.5]).job_id`,
    )
    const inNode = await CountedJob.set({ queue: 'unserved', priority: 3 }).performLater(1, 'ä', null, [2.5])
    if (inNode === false) throw new Error('refused')
    expect(await traceOf(app.pool, inNode.jobId, new Map())).toEqual(await traceOf(app.pool, inRuby, new Map()))
  })

  test('a worker in Node skips every class that it does not have', async () => {
    const id = await app.run<string>(`EchoJob.set(queue: 'node').perform_later(1, '1').job_id`)
    const other = await enqueue('Ruby', 'node', 'after the foreign one')
    await untilRow(other, { isFinished: true })
    expect(await row(id)).toMatchObject({ isWaiting: true, executions: 0, error: null })
    await act('Ruby', 'discard', id)
  })

  test('a job that a Ruby worker takes by mistake is discarded at once by its stub, and runs in Node when it is retried', async () => {
    const name = 'taken by mistake'
    const mistaken = await app.run<string>(`Node::MemberJob.set(queue: 'default').perform_later(args[:name]).job_id`, {
      name,
    })
    const error = 'Node::Stub::PerformedInNode: Node::MemberJob is performed in Node: keep Ruby workers off its queue'
    await untilRow(mistaken, { isFinished: true, executions: 1, error, errorEvent: 5 })
    const next = await enqueue('Node', 'default', 'after the mistake')
    await untilRow(next, { isFinished: true, error: null })
    expect(await row(mistaken)).toMatchObject({ isFinished: true, executions: 1 })
    await app.pool.query(CALL_TO, [mistaken, 'node'])
    await act('Ruby', 'retry', mistaken)
    await untilRow(mistaken, { isFinished: true, executions: 2, error: null })
    expect(await ranIn(name)).toEqual(['node'])
  })

  test('a job of a class that only Node has is never lost to a Ruby worker, also while no Node worker runs', async () => {
    await node.stop()
    const kept = await app.run<string>(`Node::MemberJob.perform_later('kept').job_id`)
    const ids = await Promise.all(['other 1', 'other 2'].map((name) => enqueue('Node', 'default', name)))
    for (const id of ids) await untilRow(id, { isFinished: true, error: null })
    // A starting worker queries all waiting jobs.
    const another = await app.startWorker({ queues: '-node' })
    const last = await enqueue('Ruby', 'default', 'last')
    await untilRow(last, { isFinished: true, error: null })
    await another.stop()
    expect(await row(kept)).toMatchObject({ isWaiting: true, executions: 0, error: null })
    node = await startNodeWorker(app)
    await untilRow(kept, { isFinished: true, error: null, executions: 1 })
    expect(await ranIn('kept')).toEqual(['node'])
  })
})
