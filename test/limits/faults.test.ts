import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { enqueue, jobClass, next, openWorld, performed, until } from '../support/harness.ts'
import { blockedSessions, noLocks } from '../support/sessions.ts'
import { Wire } from '../support/wire.ts'
import { Gates, Ledger, start } from './limited-jobs.ts'

const CLAIMS_TABLE = `CREATE TABLE good_job_concurrency_claims (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), key text NOT NULL, job_id uuid NOT NULL, locked_by_id uuid, state smallint NOT NULL,
  created_at timestamp NOT NULL, updated_at timestamp NOT NULL, UNIQUE (key, job_id))`

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_concurrency_claims'))

/** A class of which two jobs may run at once, and jobs of it, in their order. */
const limitedJobs = (ledger: Ledger, jobs: number, performLimit = 2) => {
  class LedgerJob extends Job {
    static {
      this.controlConcurrencyWith({ key: 'k', performLimit })
    }
    override perform(number: number) {
      return ledger.run(number)
    }
  }
  return { LedgerJob, jobs: Array.from({ length: jobs }, (_, index) => new LedgerJob(index)) }
}

const allRan = async (jobs: number): Promise<void> => {
  const counts = `count(*) FILTER (WHERE finished_at IS NOT NULL AND error IS NULL)::int AS finished, max(executions_count) AS attempts`
  expect(await world.sql(`SELECT ${counts} FROM good_jobs`)).toEqual([{ finished: jobs, attempts: 1 }])
}

describe('a limit holds', () => {
  test.each([
    ['two processes with two pools and two lanes each', { lanes: 2, queues: '*:4;*:4' }],
    ['starts that are deferred', { deferStart: 20 }],
    ['a queue that is read in small parts, honouring pauses', { queueSelectLimit: 3, enablePauses: true }],
    [
      'ordered queues, sorted by scheduled_at',
      { queues: '+other,default:5', dequeueQuerySort: 'scheduled_at' as const },
    ],
  ])('over %s', async (_, options) => {
    const ledger = new Ledger()
    const { LedgerJob, jobs } = limitedJobs(ledger, 60)
    await performAllLater(jobs)
    const done = next('perform_job', jobs.length)
    await using _first = await start(world, { jobs: [LedgerJob], ...options })
    await using _second = await start(world, { jobs: [LedgerJob], ...options })
    await done
    expect(ledger.most).toBe(2)
    await allRan(jobs.length)
    await until(
      async () => (await world.sql('SELECT FROM good_job_concurrency_claims')).length === 0,
      'no claim is left',
    )
  })

  test('of all jobs over jobs without rules whose starts are deferred', async () => {
    const gates = new Gates()
    const PlainJob = gates.jobClass('PlainJob')
    const LonelyJob = gates.jobClass('LonelyJob', (made) => made.concurrencyRule({ performLimit: 1 }))
    const plain = await enqueue(PlainJob, {}, 'plain')
    await using _capsule = await start(world, { jobs: [PlainJob, LonelyJob], deferStart: 60_000 })
    await gates.of('plain').entered
    expect(await world.sql('SELECT id FROM good_jobs WHERE performed_at IS NOT NULL')).toEqual([{ id: plain }])
    gates.of('plain').open()
    const lonely = await enqueue(LonelyJob, {}, 'lonely')
    gates.of('lonely').open()
    await performed(plain, lonely)
  })

  test('while the session of the lane is lost in the middle of an admission', async () => {
    await using wire = await Wire.start(world.url)
    const ledger = new Ledger()
    const { LedgerJob, jobs } = limitedJobs(ledger, 20)
    await performAllLater(jobs)
    const torn = wire.tear('GoodJob::Lane', /INSERT INTO good_job_concurrency_claims/, 'answer')
    const counted = wire.tear('GoodJob::Lane', /pg_advisory_xact_lock/, 'answer')
    await using _capsule = await start(world, { jobs: [LedgerJob], databaseUrl: wire.url() })
    await Promise.all([torn, counted])
    await until(
      async () => (await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL')).length === 0,
      'all jobs end',
    )
    expect(ledger.most).toBeLessThanOrEqual(2)
    expect(new Set(ledger.order).size).toBe(20)
  })

  test('while the table of claims is dropped and made again', async () => {
    const ledger = new Ledger()
    const { LedgerJob, jobs } = limitedJobs(ledger, 200)
    await performAllLater(jobs)
    const [some, done] = [next('perform_job', 20), next('perform_job', 200)]
    await using _capsule = await start(world, { jobs: [LedgerJob], pollInterval: 1 })
    await some
    await world.sql('DROP TABLE good_job_concurrency_claims')
    await next('perform_job', 20)
    await world.sql(CLAIMS_TABLE)
    await done
    expect(ledger.most).toBe(2)
    await allRan(200)
  })
})

describe('an admission', () => {
  test('that waits for a lock when the worker stops starts nothing, and leaves no lock', async () => {
    const ledger = new Ledger()
    const { LedgerJob, jobs } = limitedJobs(ledger, 3)
    await performAllLater(jobs)
    const holder = await world.database.connect()
    await holder.query('BEGIN')
    await holder.query(`SELECT pg_advisory_xact_lock(('x' || substr(md5('k'), 1, 16))::bit(64)::bigint)`)
    const capsule = await start(world, { jobs: [LedgerJob] })
    await until(async () => (await blockedSessions(world)) > 0, 'an admission waits')
    await capsule.shutdown()
    await holder.query('ROLLBACK')
    await holder.end()
    await noLocks(world)
    const columns = 'performed_at, locked_by_id, executions_count'
    expect(await world.sql(`SELECT DISTINCT ${columns} FROM good_jobs`)).toEqual([
      { performed_at: null, locked_by_id: null, executions_count: expect.toBeOneOf([0, null]) },
    ])
  })

  test('counts the jobs of a dead process until another process has released them', async () => {
    const gates = new Gates()
    const LimitedJob = gates.jobClass('LimitedJob', (made) => made.concurrencyRule({ label: 'api', performLimit: 1 }))
    const dead = { job_class: 'RubyJob', labels: ['api'], performed_at: new Date(), locked_by_id: crypto.randomUUID() }
    const held = await world.insert({ ...dead, locked_at: new Date() })
    const id = await enqueue(LimitedJob, { labels: ['api'] }, 'first')
    await using _capsule = await start(world, { jobs: [LimitedJob], pollInterval: 0.2 })
    expect((await world.job(id)).performed_at).toBeNull()
    await world.sql('UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1', [held])
    await gates.of('first').entered
    gates.of('first').open()
    await performed(id)
  })
})

describe('a function of a rule that throws', () => {
  test.each([
    [
      'is retried by retryOn',
      (made: typeof Job) => made.retryOn(RangeError, { wait: 0, attempts: 2 }),
      'retry_stopped',
      2,
    ],
    ['is discarded by discardOn', (made: typeof Job) => made.discardOn(RangeError), 'discarded', 1],
    ['fails without a handler', () => undefined, 'unhandled', 1],
  ])('is the error of an attempt, which %s', async (_, declare, outcome, attempts) => {
    let ran = false
    const ThrowingJob = jobClass(
      'ThrowingJob',
      () => {
        ran = true
      },
      (made) => {
        made.concurrencyRule({
          label: () => {
            throw new RangeError('no label')
          },
          performLimit: 1,
        })
        declare(made as never)
      },
    )
    const id = await enqueue(ThrowingJob)
    const ended = next('perform_job', 1, (event) => event.jobId === id && event.outcome === outcome)
    await using _capsule = await start(world, { jobs: [ThrowingJob] })
    await ended
    expect(ran).toBe(false)
    expect(await world.job(id)).toMatchObject({ error: 'RangeError: no label', executions_count: attempts })
  })

  test('delays no other job of its class', async () => {
    const gates = new Gates()
    const PickyJob = gates.jobClass('PickyJob', (made) =>
      made.concurrencyRule({
        label: (job) => {
          if (job.arguments[0] === 'bad') throw new RangeError('bad')
          return 'api'
        },
        performLimit: 1,
      }),
    )
    const [bad, good] = [
      await enqueue(PickyJob, { labels: ['api'] }, 'bad'),
      await enqueue(PickyJob, { labels: ['api'] }, 'good'),
    ]
    gates.of('good').open()
    await using _capsule = await start(world, { jobs: [PickyJob] })
    const ends = await performed(bad as string, good as string)
    expect(new Map(ends.map(({ jobId, outcome }) => [jobId, outcome]))).toEqual(
      new Map([
        [bad, 'unhandled'],
        [good, 'succeeded'],
      ]),
    )
  })
})
