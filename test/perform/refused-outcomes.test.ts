import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import { inTurn } from '../support/clean-up.ts'
import { refuseUpdates } from '../support/faults.ts'
import { enqueue, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { advisoryLocks } from '../support/sessions.ts'

const world = await openWorld()
const ran: string[] = []
const MemberJob = jobClass('MemberJob', ({ jobId }) => void ran.push(jobId))
/** The worker for tests that need no options of their own. */
const worker = await world.start({ jobs: [MemberJob], queues: 'members' })
afterAll(
  inTurn(
    () => worker.shutdown(),
    () => world.close(),
  ),
)
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

const EchoJob = jobClass('EchoJob', () => {})
const make = (made: JobConstructor): Job => new (made as new () => Job)()
const ENDS = 'NEW.finished_at IS NOT NULL'

// An outcome with an error would pass: only the SQLSTATE shows that the job is not the cause.
const NOT_WELL = `${ENDS} AND NEW.error IS NULL`

test.each([
  ['08P01', 'the words of a pooler', NOT_WELL],
  ['08007', 'a transaction whose end is unknown', NOT_WELL],
  ['08001', 'a foreign server that cannot be reached', NOT_WELL],
  ['XX000', 'an internal error', NOT_WELL],
  ['53400', 'a configured limit', NOT_WELL],
  ['40003', 'a statement whose end is unknown', NOT_WELL],
  ['57000', 'an operator intervened', NOT_WELL],
  ['57P01', 'a shutdown', NOT_WELL],
  ['57P04', 'a dropped database', NOT_WELL],
  ['55000', 'an object in another state', NOT_WELL],
  ['25P02', 'a failed transaction', NOT_WELL],
  ['42501', 'a right that is missing', NOT_WELL],
  ['42P01', 'a table that a migration moves', NOT_WELL],
  ['US001', 'a SQLSTATE that only its author knows', NOT_WELL],
  ['54000', 'a limit of the server', ENDS],
  ['P0001', 'a trigger that lets nothing end', ENDS],
  ['23514', 'a constraint that lets nothing end', ENDS],
])('an outcome that %s (%s) keeps from being written is written later, as it was', async (code, _what, condition) => {
  await using refusal = await refuseUpdates(world, { message: 'not now', code, condition })
  const failing = next('outcome_write_failed', 2)
  const member = make(MemberJob).set({ queue: 'members' })
  const batch = await Batch.enqueue({}, member)
  const plain = await enqueue(MemberJob, { queue: 'members' })
  expect((await failing).map(({ error }) => (error as { code?: string }).code)).toEqual([code, code])
  expect(await world.job(member.jobId)).toMatchObject({ finished_at: null, error: null })
  const done = performed(member.jobId, plain)
  await refusal[Symbol.asyncDispose]()
  await done
  expect(await world.job(member.jobId)).toMatchObject({
    error: null,
    executions_count: 1,
    finished_at: expect.any(Date),
  })
  expect(await world.job(plain)).toMatchObject({ error: null, executions_count: 1, finished_at: expect.any(Date) })
  expect(ran.splice(0).toSorted()).toEqual([member.jobId, plain].toSorted())
  expect(await batch.reload()).toMatchObject({ isDiscarded: false, isSucceeded: true })
})

test.each(['XX000', '57P01', 'US001'])(
  'refused outcomes (%s) block neither other outcomes nor claims',
  async (code) => {
    const BadJob = jobClass('BadJob', () => {})
    await using refusal = await refuseUpdates(world, {
      message: 'a page is corrupt',
      code,
      condition: `${ENDS} AND NEW.job_class = 'BadJob'`,
    })
    await using _capsule = await world.start({ jobs: [BadJob, EchoJob], threads: 5 })
    const bad = await Promise.all(Array.from({ length: 7 }, () => enqueue(BadJob)))
    const others = next('perform_job', 300, ({ jobClass: name }) => name === 'EchoJob')
    await world.adapter.enqueueAll(Array.from({ length: 300 }, () => make(EchoJob)))
    await others
    for (const id of bad) expect(await world.job(id)).toMatchObject({ finished_at: null, error: null })
    const done = performed(...bad)
    await refusal[Symbol.asyncDispose]()
    await done
    for (const id of bad) expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
    await until(async () => (await advisoryLocks(world)).length === 0, 'no lock is left')
  },
)

test('outcomes that were refused together with others are from then on written separately', async () => {
  const BadJob = jobClass('BadJob', () => {})
  await using refusal = await refuseUpdates(world, {
    message: 'a page is corrupt',
    code: 'XX000',
    condition: `${ENDS} AND NEW.job_class = 'BadJob'`,
  })
  await using _capsule = await world.start({ jobs: [BadJob, EchoJob] })
  const refused = next('outcome_write_failed')
  const bad = await enqueue(BadJob)
  await refused
  // Nothing else was written yet, so the fault might affect all outcomes. This outcome shows that it does not.
  await performed(await enqueue(EchoJob))
  const failures = record('outcome_write_failed')
  for (let count = 0; count < 20; count++) await performed(await enqueue(EchoJob))
  failures.stop()
  expect(failures.seen.filter(({ jobs }) => jobs > 1)).toEqual([])
  const done = performed(bad)
  await refusal[Symbol.asyncDispose]()
  await done
})

test('a job whose outcome is only accepted without its payload ends with the refusal as its error; other jobs are unaffected', async () => {
  const RetryJob = jobClass('RetryJob', (job) => job.retryJob({ queue: 'forbidden' }))
  await world.sql(`ALTER TABLE good_jobs ADD CONSTRAINT allowed CHECK (queue_name <> 'forbidden')`)
  try {
    await using _capsule = await world.start({ jobs: [RetryJob, EchoJob] })
    const refused = next('outcome_refused')
    const fine = await enqueue(EchoJob)
    const done = performed(fine)
    const bad = await enqueue(RetryJob)
    expect((await refused)[0]).toMatchObject({ jobId: bad, outcome: 'retried', error: { code: '23514' } })
    await done
    expect(await world.job(bad)).toMatchObject({
      error: expect.stringMatching(
        /^StandardError: the outcome of this attempt \(retried\) could not be stored: new row for relation/,
      ),
      error_event: 1,
      queue_name: 'default',
    })
    expect(await world.job(fine)).toMatchObject({ error: null })
  } finally {
    await world.sql('ALTER TABLE good_jobs DROP CONSTRAINT allowed')
  }
})

test('a fault that disappears while it is examined is not attributed to the job', async () => {
  // The single write and the first examining write fail; a sequence counts also what is rolled back.
  await world.sql('CREATE SEQUENCE refusals')
  await using _refusal = await refuseUpdates(world, {
    message: 'come back later',
    condition: `${ENDS} AND nextval('refusals') <= 2`,
  })
  try {
    await using _capsule = await world.start({ jobs: [EchoJob] })
    const id = await enqueue(EchoJob)
    await performed(id)
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
    const [counted] = await world.sql<{ count: number }>('SELECT last_value::int AS count FROM refusals')
    expect(counted?.count).toBeGreaterThan(2)
  } finally {
    await world.sql('DROP SEQUENCE refusals CASCADE')
  }
})

test('a violated constraint that COMMIT checks is attributed to its job like any other', async () => {
  const RetryJob = jobClass('RetryJob', (job) => job.retryJob({ queue: 'forbidden' }))
  await world.sql(`CREATE FUNCTION refuse_late() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.queue_name = 'forbidden' THEN RAISE EXCEPTION 'not there' USING ERRCODE = '23514'; END IF;
      RETURN NULL;
    END $$`)
  await world.sql(`CREATE CONSTRAINT TRIGGER refuse_late AFTER UPDATE ON good_jobs DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_late()`)
  try {
    await using _capsule = await world.start({ jobs: [RetryJob] })
    const id = await enqueue(RetryJob)
    await performed(id)
    expect(await world.job(id)).toMatchObject({ error: expect.stringContaining('could not be stored: not there') })
  } finally {
    await world.sql('DROP FUNCTION refuse_late CASCADE')
  }
})

test('a job whose row cannot be deleted keeps its row and its success', async () => {
  await world.sql('CREATE TABLE receipts (job_id uuid REFERENCES good_jobs)')
  try {
    await using _capsule = await world.start({ jobs: [EchoJob], preserveJobRecords: false })
    const id = await enqueue(EchoJob, { wait: 3_600 })
    await world.sql('INSERT INTO receipts VALUES ($1)', [id])
    const done = performed(id)
    await world.adapter.rescheduleJob(id, new Date())
    await world.sql(`SELECT pg_notify('good_job', '{}')`)
    expect((await done)[0]).toMatchObject({ outcome: 'succeeded' })
    expect(await world.job(id)).toMatchObject({ error: null, finished_at: expect.any(Date) })
  } finally {
    await world.sql('DROP TABLE receipts')
  }
})

test('a policy that forbids the retry of one job is distinguished from a missing privilege', async () => {
  const RetryJob = jobClass('RetryJob', (job) => job.retryJob({ queue: 'of another tenant', wait: 3_600 }))
  const FineJob = jobClass('FineJob', (job) => job.retryJob({ queue: 'ours', wait: 3_600 }))
  await world.sql(`CREATE ROLE tenant_${process.pid} LOGIN PASSWORD 'x'`)
  await world.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tenant_${process.pid}`)
  await world.sql('ALTER TABLE good_jobs ENABLE ROW LEVEL SECURITY')
  await world.sql(`CREATE POLICY ours ON good_jobs USING (true) WITH CHECK (queue_name <> 'of another tenant')`)
  const url = new URL(world.url)
  url.username = `tenant_${process.pid}`
  url.password = 'x'
  try {
    const ids = [await enqueue(RetryJob), ...(await Promise.all(Array.from({ length: 4 }, () => enqueue(FineJob))))]
    const failures = record('outcome_write_failed')
    const done = performed(...ids)
    await using _capsule = await world.start({ jobs: [RetryJob, FineJob], databaseUrl: url.href })
    await Promise.race([done, next('outcome_write_failed', 3)])
    // Alone the outcome would wait: it is unknown whether any retry may be written.
    const late = await enqueue(FineJob)
    await Promise.all([done, performed(late)])
    failures.stop()
    expect(await world.job(ids[0] ?? '')).toMatchObject({ error: expect.stringContaining('row-level security') })
    for (const id of [...ids.slice(1), late])
      expect(await world.job(id)).toMatchObject({ error: null, queue_name: 'ours' })
  } finally {
    await world.sql('DROP POLICY ours ON good_jobs')
    await world.sql('ALTER TABLE good_jobs DISABLE ROW LEVEL SECURITY')
    await world.sql(`DROP OWNED BY tenant_${process.pid}`)
    await world.sql(`DROP ROLE tenant_${process.pid}`)
  }
})
