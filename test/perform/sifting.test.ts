import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import type { Outcome } from '../../src/perform/outcome/outcome.ts'
import { siftOutcomes } from '../../src/perform/outcome/sift.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { claimAll, outcomeOf, writeContext } from '../batch/outcomes.ts'
import { inTurn } from '../support/clean-up.ts'
import { jobClass, openWorld } from '../support/harness.ts'

const world = await openWorld()
const client = await world.database.connect()
afterAll(
  inTurn(
    () => client.end(),
    () => world.close(),
  ),
)
beforeEach(async () => {
  await world.sql('TRUNCATE good_jobs, good_job_executions')
  await world.sql(`ALTER TABLE good_jobs ADD CONSTRAINT allowed CHECK (queue_name <> 'forbidden')`)
})
afterEach(
  inTurn(
    () => vi.restoreAllMocks(),
    () => world.sql('ALTER TABLE good_jobs DROP CONSTRAINT allowed'),
    () => world.sql('DROP FUNCTION IF EXISTS refuse CASCADE'),
  ),
)

const make = (made: JobConstructor): Job => new (made as new () => Job)()
const FineJob = jobClass('FineJob', () => {})
/** Its retry goes to a queue that a constraint forbids: the job ends when its outcome loses that payload. */
const GuiltyJob = jobClass('GuiltyJob', () => {})
/** Its row accepts no outcome at all. */
const StubbornJob = jobClass('StubbornJob', () => {})

/** A connection on which each statement seems to take `ms`, as on a distant or busy server. */
const statementsTake = (ms: number) => {
  let elapsedMs = 0
  const start = performance.now()
  vi.spyOn(performance, 'now').mockImplementation(() => start + elapsedMs)
  const db: Queryable = {
    query: (query) => {
      elapsedMs += ms
      return client.query(query as never) as never
    },
  }
  return {
    db,
    elapsedMs: () => elapsedMs,
    restart: () => {
      elapsedMs = 0
    },
  }
}

/** Attempts that have just ended, `count` of each class; the fine ones first, the stubborn ones last. */
const outcomesOf = async (count: { fine?: number; guilty?: number; stubborn?: number }) => {
  const made = (name: JobConstructor, many = 0) => Array.from({ length: many }, () => make(name))
  const jobs = [...made(FineJob, count.fine), ...made(GuiltyJob, count.guilty), ...made(StubbornJob, count.stubborn)]
  await world.adapter.enqueueAll(jobs)
  const { rows, now, processId } = await claimAll(world, client, ['FineJob', 'GuiltyJob', 'StubbornJob'])
  const byId = new Map(rows.map((row) => [row.id, row]))
  const finishedAt = world.adapter.clock.timestamp()
  const outcomes = jobs.map((job): Outcome => {
    const row = byId.get(job.jobId)
    if (row === undefined) throw new Error('not claimed')
    const outcome = outcomeOf(row, now, finishedAt)
    if (!(job instanceof GuiltyJob)) return outcome
    const columns = { ...outcome.columns, serializedParams: '{}', jobClass: 'GuiltyJob', queueName: 'forbidden' }
    return { ...outcome, result: { ...outcome.result, outcome: 'retried' }, write: 'reenqueue', columns }
  })
  const context = await writeContext(world, processId)
  return { outcomes, sift: (db: Queryable, left: readonly Outcome[]) => siftOutcomes(db, left, context) }
}

const refuseStubborn = () =>
  world.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        RAISE EXCEPTION 'never' USING ERRCODE = '23514';
      END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON good_jobs FOR EACH ROW WHEN (OLD.job_class = 'StubbornJob') EXECUTE FUNCTION refuse()`)

/** Counts outcomes by job class, by whether the job has ended, and by its error. */
const ends = () =>
  world.sql(
    `SELECT job_class, finished_at IS NOT NULL AS is_finished, error IS NOT NULL AS has_error, count(*)::int
     FROM good_jobs GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`,
  )

/** Sifts until each outcome is settled or a transaction settles none; returns the number of transactions that settled some. */
const siftAll = async (
  { outcomes, sift }: Awaited<ReturnType<typeof outcomesOf>>,
  clock: ReturnType<typeof statementsTake>,
): Promise<number> => {
  let left: readonly Outcome[] = outcomes
  for (let transactions = 0; ; transactions++) {
    clock.restart()
    const { settlement, refused, untried } = await sift(clock.db, left)
    if (settlement.size === 0) return transactions
    expect(settlement.size + refused.size + untried.length).toBe(left.length)
    left = [...untried, ...refused.keys()]
    if (left.length === 0) return transactions + 1
  }
}

test('the locks of 500 outcomes are held for five seconds, however many refused outcomes have to be found', async () => {
  const scene = await outcomesOf({ fine: 1, guilty: 498, stubborn: 1 })
  await refuseStubborn()
  // All outcomes are refused within the time that remains after the first one is judged.
  const clock = statementsTake(3)
  const { settlement, refused, untried } = await scene.sift(clock.db, scene.outcomes)
  expect(settlement.size + refused.size + untried.length).toBe(500)
  expect(refused.size).toBeGreaterThan(100)
  // One outcome is judged by seven statements, and the last one began in time.
  expect(clock.elapsedMs()).toBeLessThan(5_000 + 20 * 3)
})

test('a sifting returns the outcomes that it had no time to try', async () => {
  const scene = await outcomesOf({ fine: 1, guilty: 39 })
  const clock = statementsTake(200)
  const { settlement, untried } = await scene.sift(clock.db, scene.outcomes)
  expect(settlement.size).toBeGreaterThan(0)
  expect(untried.length).toBeGreaterThan(20)
  expect(clock.elapsedMs()).toBeLessThan(5_000 + 20 * 200)
})

test('of jobs that are refused one by one all end except the one whose row accepts no outcome', async () => {
  const scene = await outcomesOf({ guilty: 39, stubborn: 1 })
  await refuseStubborn()
  expect(await siftAll(scene, statementsTake(0))).toBeLessThan(8)
  expect(await ends()).toEqual([
    { job_class: 'GuiltyJob', is_finished: true, has_error: true, count: 39 },
    { job_class: 'StubbornJob', is_finished: false, has_error: false, count: 1 },
  ])
})

test('if a single statement takes longer than the time limit, every transaction still settles some outcomes', async () => {
  const scene = await outcomesOf({ fine: 2, guilty: 3, stubborn: 1 })
  await refuseStubborn()
  expect(await siftAll(scene, statementsTake(6_000))).toBeGreaterThan(1)
  expect(await ends()).toEqual([
    { job_class: 'FineJob', is_finished: true, has_error: false, count: 2 },
    { job_class: 'GuiltyJob', is_finished: true, has_error: true, count: 3 },
    { job_class: 'StubbornJob', is_finished: false, has_error: false, count: 1 },
  ])
})

test('jobs whose outcomes are refused only when written together end one by one', async () => {
  const scene = await outcomesOf({ guilty: 5 })
  await world.sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF (SELECT count(*) FROM ended WHERE error IS NOT NULL) > 1 THEN RAISE EXCEPTION 'one at a time'; END IF;
        RETURN NULL;
      END $$;
    CREATE TRIGGER refuse AFTER UPDATE ON good_jobs REFERENCING NEW TABLE AS ended FOR EACH STATEMENT EXECUTE FUNCTION refuse()`)
  expect(await siftAll(scene, statementsTake(0))).toBe(1)
  expect(await ends()).toEqual([{ job_class: 'GuiltyJob', is_finished: true, has_error: true, count: 5 }])
})
