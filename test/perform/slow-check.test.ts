import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import { Completer } from '../../src/perform/outcome/completer.ts'
import type { Outcome, SettledAs } from '../../src/perform/outcome/outcome.ts'
import { siftOutcomes } from '../../src/perform/outcome/sift.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { claimAll, outcomeOf, writeContext } from '../batch/outcomes.ts'
import { refuseUpdates } from '../support/faults.ts'
import { jobClass, openWorld, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const EchoJob = jobClass('EchoJob', () => {})
const CallbackJob = jobClass('CallbackJob', () => {})
const make = (made: JobConstructor): Job => new (made as new () => Job)()
const CALLBACKS = { onSuccess: CallbackJob, onFinish: CallbackJob }

beforeAll(async () => {
  await world.sql(
    `CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END $$`,
  )
  await world.sql(
    `CREATE TRIGGER be_slow BEFORE UPDATE ON good_job_batches FOR EACH ROW WHEN (OLD.description = 'slow') EXECUTE FUNCTION be_slow()`,
  )
})

/** A completer of claimed jobs of EchoJob. */
const claimed = async (statementTimeoutMs: number) => {
  const client = await world.database.connect()
  const { rows, now, processId } = await claimAll(world, client, ['EchoJob'])
  const completer = new Completer({
    database: world.adapter.database,
    processId,
    keepsCreatedAt: false,
    notifies: false,
    check: checkOptionsOf(world.adapter),
    onSetApart: () => {},
    statementTimeoutMs,
  })
  const settled: string[] = []
  const complete = (id: string): void => {
    const row = rows.find((one) => one.id === id)
    if (row === undefined) throw new Error(`${id} was not claimed`)
    const outcome = outcomeOf(row, now, world.adapter.clock.timestamp())
    completer.complete({ ...outcome, settled: (as: SettledAs) => void settled.push(`${id} ${as}`) })
  }
  const close = async () => {
    await completer.close()
    await client.end()
  }
  return { completer, complete, settled, close }
}

test('a batch check slower than the statement timeout runs separately from other outcomes', async () => {
  const [first, slow, plain, later] = [make(EchoJob), make(EchoJob), make(EchoJob), make(EchoJob)]
  const batch = await Batch.enqueue({ ...CALLBACKS, description: 'slow' }, slow)
  await world.adapter.enqueueAll([first, plain, later])
  const { completer, complete, settled, close } = await claimed(500)
  // The other two outcomes are written together, after the first one.
  for (const { jobId } of [first, slow, plain]) complete(jobId)
  await until(async () => settled.length >= 2, 'the outcomes of no batch are written')
  complete(later.jobId)
  await until(async () => settled.length >= 3, 'one that came later is written')
  expect(settled.slice(0, 3)).toEqual([first, plain, later].map(({ jobId }) => `${jobId} written`))
  await completer.drained()
  expect(settled[3]).toBe(`${slow.jobId} written`)
  expect((await batch.status()).callbacks.map(({ event }) => event).toSorted()).toEqual(['finish', 'success'])
  await close()
})

test('outcomes that end their session each time are identified and do not delay other outcomes', async () => {
  const jobs = Array.from({ length: 9 }, () => make(EchoJob))
  await world.adapter.enqueueAll(jobs)
  const [bad] = jobs
  await world.sql(`CREATE FUNCTION end_session() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$`)
  await world.sql(`CREATE TRIGGER end_session BEFORE UPDATE ON good_jobs FOR EACH ROW
    WHEN (OLD.id = '${bad?.jobId}' AND NEW.finished_at IS NOT NULL) EXECUTE FUNCTION end_session()`)
  const { completer, complete, settled, close } = await claimed(5_000)
  for (const { jobId } of jobs) complete(jobId)
  await until(async () => settled.length >= 8, 'the others are written')
  expect(settled.join()).not.toContain(bad?.jobId)
  await world.sql('DROP FUNCTION end_session CASCADE')
  await completer.drained()
  expect(settled).toHaveLength(9)
  await close()
})

/** Outcomes of `count` started jobs, and a connection that counts its statements. */
const started = async (count: number) => {
  await world.sql('TRUNCATE good_jobs, good_job_executions')
  const processId = '00000000-0000-4000-8000-000000000001'
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, serialized_params, created_at, updated_at, performed_at, locked_by_id, locked_at)
     SELECT gen_random_uuid(), gen_random_uuid(), 'EchoJob', 'default', '{}', now(), now(), '2026-01-01', $1, '2026-01-01' FROM generate_series(1, $2)`,
    [processId, count],
  )
  const rows = await world.sql<{ id: string }>('SELECT id FROM good_jobs')
  const outcomes = rows.map(({ id }) => {
    const row = { id, batch_id: null, batch_callback_id: null, execution_id: id } as Outcome['row']
    return outcomeOf(row, '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z')
  })
  const client = await world.database.connect()
  const counts = { transactions: 0, statements: 0 }
  const own: Queryable = client
  const db: Queryable = {
    query: (statement) => {
      counts.statements += 1
      if (/^(COMMIT|ROLLBACK)$/.test(statement.text)) counts.transactions += 1
      return own.query(statement)
    },
  }
  const context = await writeContext(world, processId)
  return {
    sift: (some: readonly Outcome[] = outcomes) => siftOutcomes(db, some, context),
    counts,
    end: () => client.end(),
  }
}

test('five hundred refused outcomes take few transactions: one, unless the machine is slow', async () => {
  const { sift, counts, end } = await started(500)
  await using _refusal = await refuseUpdates(world, { message: 'no', condition: 'NEW.error IS NULL' })
  let { settlement, refused, untried } = await sift()
  let settled = settlement.size
  // Outcomes that a sifting has no time to judge are tried again, as the writer does.
  while (untried.length + refused.size > 0 && counts.transactions < 20) {
    ;({ settlement, refused, untried } = await sift([...untried, ...refused.keys()]))
    settled += settlement.size
  }
  await end()
  expect([settled, refused.size]).toEqual([500, 0])
  expect(counts.transactions).toBeLessThan(20)
  expect(await world.sql(`SELECT FROM good_jobs WHERE error LIKE '%could not be stored: no'`)).toHaveLength(500)
})

test('one refused outcome of five hundred is found with few statements', async () => {
  const { sift, counts, end } = await started(500)
  await using _refusal = await refuseUpdates(world, {
    message: 'no',
    code: 'XX000',
    condition: 'NEW.id = (SELECT max(id::text)::uuid FROM good_jobs)',
  })
  const { settlement, refused } = await sift()
  await end()
  expect([settlement.size, refused.size, counts.transactions]).toEqual([499, 1, 1])
  expect(counts.statements).toBeLessThan(80)
})

test('a fault that affects all outcomes is recognized after few statements', async () => {
  const { sift, counts, end } = await started(500)
  await using _refusal = await refuseUpdates(world, { message: 'no', code: '53400' })
  const { settlement, refused, untried } = await sift()
  await end()
  expect([settlement.size, refused.size + untried.length, counts.transactions]).toEqual([0, 500, 1])
  expect(counts.statements).toBeLessThan(120)
})
