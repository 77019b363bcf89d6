import { afterAll, beforeAll, expect, test } from 'vitest'
import { inTurn } from '../test/support/clean-up.ts'
import { createDatabase, type TestDatabase } from '../test/support/postgres.ts'
import { Wire } from '../test/support/wire.ts'
import { startNodeWorker } from './node-worker.ts'
import { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { describeWithRuby } from './support/ruby.ts'

interface Attempt {
  readonly process: string
  readonly event: number | null
  readonly isClosed: boolean
  readonly isBeforeOutcome: boolean
}

const ATTEMPTS = `
  SELECT process_id AS process, error_event AS event, finished_at IS NOT NULL AS "isClosed",
    created_at < min(finished_at) OVER () AS "isBeforeOutcome"
  FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at`

/** $1 job id. The session that holds GoodJob's lock for it. */
const END_HOLDER = `
  SELECT pg_terminate_backend(pid) FROM pg_locks, (SELECT ('x' || substr(md5('good_jobs-' || $1), 1, 16))::bit(64)::bigint) AS lock(key)
  WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32) | objid::bigint = key`

/** Inserts that match wait at the gate of the trigger's name. */
const waitAtGate = (name: string, table: string, condition: string): string => `
  CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_advisory_xact_lock_shared(hashtextextended(TG_NAME, 1450)); RETURN NEW; END $$;
  CREATE TRIGGER "${name}" BEFORE INSERT ON ${table} FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION wait_at_gate()`

/**
 * GoodJob on advisory checks once, after it has the lock, whether the job is still unfinished. A job that ends between that check and
 * its start runs again, whichever side ran it: the statement of the start compares the primary key only.
 */
describeWithRuby('an advisory worker in Ruby stalled between its check of a job and the start', () => {
  let database: TestDatabase
  let app: RailsApp
  let wire: Wire

  beforeAll(async () => {
    database = await createDatabase({ template: 'empty' })
    app = await RailsApp.boot({ databaseUrl: database.url })
    wire = await Wire.start(database.url)
  })

  afterAll(
    inTurn(
      () => app.stop(),
      () => wire[Symbol.asyncDispose](),
      () => database.drop(),
    ),
  )

  // One thread: a second thread of the process would take the job, whose lock is free.
  const startRuby = () => app.startWorker({ queues: 'shared', threads: 1, env: { GOOD_JOB_LOCK_STRATEGY: 'advisory' } })
  const startNode = (...options: string[]) =>
    startNodeWorker(app, { jobs: 'shared', queues: 'shared', options, env: { DATABASE_URL: wire.url() } })
  const startedBy = async (name: string) => (await app.events('started', { name })).length

  test.each([
    ['a worker in Node', () => startNode(), null],
    ['one that deferred the start', () => startNode('--defer-start', '20'), null],
    // GoodJob writes what changed in memory: the mark of the interruption stays.
    ['another in Ruby', startRuby, 0],
  ] as const)(
    'runs the job after the success of %s, whose session had ended before it wrote the outcome',
    async (first, start, event) => {
      const ending = `end after ${first}`
      await app.pool.query(waitAtGate(ending, 'compat_events', `NEW.name = 'performed'`))
      const end = await shutGate(app.databaseUrl, ending)
      const winner = await start()
      const id = await app.run<string>(`MemberJob.set(queue: 'shared').perform_later(args[:name]).job_id`, {
        name: first,
      })
      await eventually('the job is about to end', async () => (await end.waiters()) === 1)

      const loser = await startRuby()
      const starting = `start after ${first}`
      await app.pool.query(waitAtGate(starting, 'good_job_executions', `NEW.process_id = '${loser.processId}'`))
      const begin = await shutGate(app.databaseUrl, starting)
      wire.hold('both', { names: /Lane/, newOnes: false })
      await app.pool.query(END_HOLDER, [id])
      await eventually('Ruby has looked at it, and is about to start', async () => (await begin.waiters()) === 1)

      await end.release()
      await eventually('the success is written', async () => {
        const { rowCount } = await app.pool.query(
          'SELECT FROM good_jobs WHERE id = $1 AND finished_at IS NOT NULL AND error IS NULL',
          [id],
        )
        return rowCount === 1
      })
      expect(await startedBy(first)).toBe(1)
      await begin.release()
      await eventually('the job has begun again', async () => (await startedBy(first)) === 2)
      wire.release()
      await Promise.all([winner.stop(), loser.stop()])

      const { rows } = await app.pool.query<Attempt>(ATTEMPTS, [id])
      expect(rows).toEqual([
        { process: winner.processId, event, isClosed: true, isBeforeOutcome: true },
        { process: loser.processId, event: null, isClosed: true, isBeforeOutcome: true },
      ])
    },
  )
})
