import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { Gates } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const ROUNDS = Number(process.env.BATCH_RACE_ROUNDS ?? 1_000)
/** Rounds at a time. */
const LANES = 4
const QUEUES = ['default', 'node'] as const

/** Batches of as many members as there are queues named, all of which wait at one gate. */
const ENQUEUE_ROUND = `
  batch = GoodJob::Batch.new(on_success: 'BatchCallbackJob', on_finish: 'BatchCallbackJob', on_discard: 'BatchCallbackJob', name: args[:gate])
  batch.callback_queue_name = args[:callback_queue]
  batch.enqueue { args[:queues].each { |queue| MemberJob.set(queue: queue).perform_later(args[:gate]) } }
  batch.id`

/**
 * The jobs and callbacks still to come. On Rails 7.2 Ruby ends a batch in one commit and enqueues its callbacks after that: a moment
 * without unfinished jobs is not yet the end. $1 batches
 */
const COUNT_OPEN = `
  SELECT
    (SELECT count(*)::integer FROM good_job_batches WHERE finished_at IS NULL) AS batches,
    (SELECT count(*)::integer FROM good_jobs WHERE finished_at IS NULL) AS jobs,
    (SELECT greatest(0, 2 * $1 - count(*))::integer FROM good_jobs WHERE batch_callback_id IS NOT NULL) AS callbacks`

/** Every batch, with the callbacks that have run. */
const SELECT_BATCHES = `
  SELECT
    batch.id,
    batch.discarded_at,
    batch.finished_at,
    (
      SELECT coalesce(array_agg(event ORDER BY event), '{}')
      FROM (
        SELECT serialized_params #>> '{arguments,1,event,value}' AS event
        FROM good_jobs WHERE batch_callback_id = batch.id AND finished_at IS NOT NULL AND error IS NULL
      ) AS callback
    ) AS callbacks
  FROM good_job_batches AS batch`

/** Processes that ended members, and batches that several of them ended. */
const COUNT_MIXES = `
  WITH attempt AS (
    SELECT batch_id, process_id FROM good_jobs JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.id
    WHERE batch_id IS NOT NULL
  )
  SELECT
    (SELECT count(DISTINCT process_id)::integer FROM attempt) AS processes,
    (
      SELECT count(*)::integer
      FROM (SELECT FROM attempt GROUP BY batch_id HAVING count(DISTINCT process_id) > 1) AS batch
    ) AS mixed`

describeWithRuby(
  'the last members of a batch, ended at the same moment by two processes of Ruby and four of Node',
  () => {
    let app: RailsApp

    beforeAll(async () => {
      app = await bootRails()
      await Promise.all([
        ...Array.from({ length: 4 }, () => startNodeWorker(app, { jobs: 'both', threads: 4 })),
        ...Array.from({ length: 2 }, () => app.startWorker({ threads: 8 })),
      ])
    })

    afterAll(() => app.stop())

    const runRound = async (gates: Gates, round: number): Promise<void> => {
      const gate = `round ${round}`
      const members = 2 + (round % 7)
      const queues = Array.from({ length: members }, (_, index) => QUEUES[(index + round) % 2])
      await gates.shut(gate)
      await app.run(ENQUEUE_ROUND, { gate, queues, callback_queue: QUEUES[round % 2] })
      await gates.untilWaiters(members)
      await gates.open(gate)
    }

    test(`fire each callback exactly once, in ${ROUNDS} rounds`, async () => {
      let next = 0
      const lane = async (): Promise<void> => {
        await using gates = await Gates.connect(app.databaseUrl)
        while (next < ROUNDS) {
          next += 1
          await runRound(gates, next)
        }
      }
      await Promise.all(Array.from({ length: LANES }, lane))
      await eventually('every batch has ended', async () => {
        const { rows } = await app.pool.query<Record<string, number>>(COUNT_OPEN, [ROUNDS])
        return Object.values(rows[0] ?? {}).every((open) => open === 0)
      })
      const { rows } = await app.pool.query<{ discarded_at: Date | null; callbacks: string[] }>(SELECT_BATCHES)
      expect(rows).toHaveLength(ROUNDS)
      const wrong = rows.filter(
        ({ discarded_at, callbacks }) => discarded_at !== null || callbacks.join() !== 'finish,success',
      )
      expect(wrong).toEqual([])
      const [mix] = (await app.pool.query<{ processes: number; mixed: number }>(COUNT_MIXES)).rows
      expect(mix?.processes).toBe(6)
      // Members turn between the languages: all but those that one process happened to get had several.
      expect(mix?.mixed).toBeGreaterThan(ROUNDS / 2)
    }, 600_000)
  },
)
