import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Adapter } from '../dist/index.js'
import { type NodeWorker, startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { Gates } from './support/locks.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const ROUNDS = 50
/** Rounds at a time. */
const LANES = 4
const QUEUES = ['default', 'node'] as const
const RETRIERS = ['Ruby', 'Node'] as const

/** What happens at the same moment. */
const KINDS = [
  'the ends of two to eight members',
  'the ends of retried members and of those that never failed',
  'the ends of all retried members of a finished batch',
  'the retry of a member and the end of the last other one',
] as const

type Kind = (typeof KINDS)[number]

const FIRST_KIND = KINDS[0]

interface Round {
  readonly kind: Kind
  readonly number: number
  /** Names the members, and their gates. */
  readonly good: string
  readonly bad: string
  readonly goodQueues: readonly string[]
  readonly badQueues: readonly string[]
}

const ENQUEUE_ROUND = `
  batch = GoodJob::Batch.new(
    description: args[:kind], on_success: 'BatchCallbackJob', on_finish: 'BatchCallbackJob', on_discard: 'BatchCallbackJob'
  )
  batch.callback_queue_name = args[:callback_queue]
  batch.enqueue do
    args[:good_queues].each { |queue| MemberJob.set(queue: queue).perform_later(args[:good]) }
    args[:bad_queues].each { |queue| MemberJob.set(queue: queue).perform_later(args[:bad]) }
  end
  batch.id`

/** $1 batch. Discarded members, once the bookkeeping of those that ran in Ruby is over: it is a transaction after the outcome. */
const SELECT_BROKEN = `
  SELECT id FROM good_jobs AS job
  WHERE batch_id = $1 AND finished_at IS NOT NULL AND error IS NOT NULL
  AND EXISTS (SELECT FROM good_job_batches WHERE id = $1 AND discarded_at IS NOT NULL)
  AND (
    queue_name = 'node'
    OR EXISTS (SELECT FROM compat_events WHERE name = 'task_finished' AND payload ->> 'job_id' = job.id::text)
  )`
const SELECT_FINISHED = 'SELECT FROM good_job_batches WHERE id = $1 AND finished_at IS NOT NULL'

const COUNT_UNENDED = `
  SELECT
    (SELECT count(*)::integer FROM good_jobs WHERE finished_at IS NULL) AS jobs,
    (SELECT count(*)::integer FROM good_job_batches WHERE finished_at IS NULL) AS batches,
    (SELECT count(*)::integer FROM good_job_batches WHERE discarded_at IS NOT NULL) AS discarded`

/** Counts batches of each kind by their result: failed members, callback jobs, and callbacks that ran. */
const SELECT_RESULTS = `
  WITH result AS (
    SELECT
      description AS kind,
      (SELECT count(*)::integer FROM good_jobs WHERE batch_id = batch.id AND error IS NOT NULL) AS broken,
      (
        SELECT string_agg(serialized_params #>> '{arguments,1,event,value}', ' ' ORDER BY serialized_params #>> '{arguments,1,event,value}')
        FROM good_jobs WHERE batch_callback_id = batch.id AND error IS NULL
      ) AS enqueued,
      (
        SELECT string_agg(payload ->> 'event', ' ' ORDER BY payload ->> 'event')
        FROM compat_events WHERE name = 'callback' AND payload ->> 'batch_id' = batch.id::text
      ) AS ran
    FROM good_job_batches AS batch
  )
  SELECT kind, broken, enqueued, ran, count(*)::integer AS batches FROM result
  GROUP BY kind, broken, enqueued, ran ORDER BY kind, broken, enqueued, ran`

/** Processes that ended a member. */
const COUNT_PROCESSES = `
  SELECT count(DISTINCT process_id)::integer AS processes FROM good_job_executions AS execution
  JOIN good_jobs ON good_jobs.id = execution.active_job_id WHERE batch_id IS NOT NULL AND execution.error IS NULL`

describeWithRuby('two processes of Ruby and three of Node race for batches', () => {
  let app: RailsApp
  let adapter: Adapter
  let nodes: readonly NodeWorker[]

  beforeAll(async () => {
    app = await bootRails()
    adapter = openAdapter(app)
    const options = ['--batch-sweep-interval', '0.1', '--batch-sweep-grace', '0.1']
    const startNode = () => startNodeWorker(app, { jobs: 'both', threads: 8, options })
    const startRuby = () => app.startWorker({ threads: 10 })
    const [first, second, third] = await Promise.all([startNode(), startNode(), startNode(), startRuby(), startRuby()])
    nodes = [first, second, third]
  })

  afterAll(() => app.stop())

  const roundOf = (kind: Kind, number: number): Round => {
    const [goods, bads] = kind === FIRST_KIND ? [2 + (number % 7), 0] : [1 + (number % 3), 1 + (number % 4)]
    const queues = (count: number, from: number) =>
      Array.from({ length: count }, (_, index) => QUEUES[(index + from) % 2] ?? '')
    const name = `${kind} ${number}`
    // All pairs of languages occur: the language of the successful and of the failing members alternate at different rates.
    return {
      kind,
      number,
      good: `good: ${name}`,
      bad: `bad: ${name}`,
      goodQueues: queues(goods, number),
      badQueues: queues(kind === KINDS[3] ? Math.min(bads, 1) : bads, number >> 1),
    }
  }

  const enqueue = async ({ kind, number, good, bad, goodQueues, badQueues }: Round): Promise<string> => {
    if (badQueues.length > 0) await app.letFail(bad, badQueues.length)
    return app.run<string>(ENQUEUE_ROUND, {
      kind,
      good,
      bad,
      good_queues: goodQueues,
      bad_queues: badQueues,
      callback_queue: QUEUES[number % 2],
    })
  }

  const retryAll = async ({ number }: Round, ids: readonly string[]): Promise<void> => {
    const by = RETRIERS[(number >> 2) % 2]
    for (const id of ids) {
      // The worker that ran the job may still hold its lock.
      await eventually(`${by} has retried ${id}`, async () => {
        if (by === 'Ruby') await app.run('GoodJob::Job.find(args[:id]).retry_job; nil', { id })
        else await adapter.retryJob(id)
        return true
      })
    }
  }

  const untilBroken = (batchId: string, count: number): Promise<string[]> =>
    eventually(`${count} members of ${batchId} are discarded`, async () => {
      const { rows } = await app.pool.query<{ id: string }>(SELECT_BROKEN, [batchId])
      return rows.length === count && rows.map(({ id }) => id)
    })

  const runRound = async (gates: Gates, round: Round): Promise<void> => {
    const { kind, good, bad, goodQueues, badQueues } = round
    const holdsGood = kind !== 'the ends of all retried members of a finished batch'
    if (holdsGood) await gates.shut(good)
    const id = await enqueue(round)
    const broken = await untilBroken(id, badQueues.length)
    if (!holdsGood) {
      await eventually('the batch is finished', async () => (await app.pool.query(SELECT_FINISHED, [id])).rowCount)
    }
    if (kind === 'the retry of a member and the end of the last other one') {
      await gates.untilWaiters(goodQueues.length)
      await Promise.all([gates.open(good), retryAll(round, broken)])
      return
    }
    await gates.shut(bad)
    await retryAll(round, broken)
    await gates.untilWaiters(badQueues.length + (holdsGood ? goodQueues.length : 0))
    await gates.open(...(holdsGood ? [good, bad] : [bad]))
  }

  const untilAllEnded = () =>
    eventually('every batch has ended well', async () => {
      expect((await app.pool.query(COUNT_UNENDED)).rows).toEqual([{ jobs: 0, batches: 0, discarded: 0 }])
      return true
    })

  const sweeps = () => nodes.reduce((sum, node) => sum + node.sweeps(), 0)

  test(`and each callback runs exactly once, in ${ROUNDS} rounds of each kind`, async () => {
    const rounds = Array.from({ length: ROUNDS }, (_, number) => KINDS.map((kind) => roundOf(kind, number))).flat()
    const lane = async (): Promise<void> => {
      await using gates = await Gates.connect(app.databaseUrl)
      for (let round = rounds.shift(); round !== undefined; round = rounds.shift()) await runRound(gates, round)
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    await untilAllEnded()
    const seen = sweeps()
    await eventually('Node has looked three times more', async () => sweeps() >= seen + 3)
    await untilAllEnded()

    const { rows } = await app.pool.query(SELECT_RESULTS)
    const expected = KINDS.map((kind) => {
      const callbacks = kind === FIRST_KIND ? 'finish success' : 'discard finish success'
      return { kind, broken: 0, enqueued: callbacks, ran: callbacks, batches: ROUNDS }
    })
    expect(rows).toEqual(expected.toSorted((a, b) => (a.kind < b.kind ? -1 : 1)))
    expect((await app.pool.query(COUNT_PROCESSES)).rows).toEqual([{ processes: 5 }])
  }, 300_000)
})
