import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { inTurn } from '../support/clean-up.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record } from '../support/harness.ts'

const world = await openWorld()
const ROLE = `worker_${randomBytes(4).toString('hex')}`

beforeAll(async () => {
  await world.sql(`CREATE ROLE ${ROLE} LOGIN PASSWORD 'x'`)
  await world.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${ROLE}`)
})
afterAll(
  inTurn(
    () => world.sql(`DROP OWNED BY ${ROLE}`),
    () => world.sql(`DROP ROLE ${ROLE}`),
    () => world.close(),
  ),
)
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const urlOfRole = (): string => {
  const url = new URL(world.url)
  url.username = ROLE
  url.password = 'x'
  return url.href
}

test.each([
  ['good_jobs', 'ALTER TABLE good_jobs RENAME TO moved', 'ALTER TABLE moved RENAME TO good_jobs', '42P01'],
  [
    'good_job_executions',
    'ALTER TABLE good_job_executions RENAME TO moved',
    'ALTER TABLE moved RENAME TO good_job_executions',
    '42P01',
  ],
  [
    'a column',
    'ALTER TABLE good_jobs RENAME COLUMN error_event TO moved',
    'ALTER TABLE good_jobs RENAME COLUMN moved TO error_event',
    '42703',
  ],
  ['the right to write', `REVOKE UPDATE ON good_jobs FROM ${ROLE}`, `GRANT UPDATE ON good_jobs TO ${ROLE}`, '42501'],
  [
    'the right to look into the schema',
    'REVOKE USAGE ON SCHEMA public FROM PUBLIC',
    'GRANT USAGE ON SCHEMA public TO PUBLIC',
    '42P01',
  ],
])(
  'outcomes wait while %s is missing, and are then written unchanged [GJ-089]',
  async (_what, takeAway, giveBack, code) => {
    const [gate, failingGate] = [new Gate(), new Gate()]
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    const FailingJob = jobClass('FailingJob', async (job) => {
      await failingGate.pass(job)
      throw new Error('its own error')
    })
    const capsule = await world.start({ jobs: [GateJob, FailingJob], databaseUrl: urlOfRole() })
    const [fine, failed] = [await enqueue(GateJob), await enqueue(FailingJob)]
    await Promise.all([gate.entered, failingGate.entered])
    await world.sql(takeAway)
    const failures = record('outcome_write_failed')
    const failing = next('outcome_write_failed', 3)
    const done = performed(fine, failed)
    gate.open()
    failingGate.open()
    await failing
    await world.sql(giveBack)
    await done
    failures.stop()
    expect(failures.seen.map(({ error }) => (error as { code?: string }).code)).toEqual(failures.seen.map(() => code))
    expect(await world.job(fine)).toMatchObject({
      error: null,
      error_event: null,
      executions_count: 1,
      locked_by_id: null,
    })
    expect(await world.job(failed)).toMatchObject({
      error: 'StandardError: its own error',
      error_event: 1,
      executions_count: 1,
    })
    expect(await world.executions(fine)).toMatchObject([{ error: null, finished_at: expect.any(Date) }])
    expect(await world.executions(failed)).toMatchObject([{ error: 'StandardError: its own error', error_event: 1 }])
    await capsule.shutdown()
  },
)

test('a batch is discarded only when the outcome of its failed member is committed, not while that cannot be written [GJ-090]', async () => {
  const gate = new Gate()
  const FailingJob = jobClass('FailingJob', async (job) => {
    await gate.pass(job)
    throw new Error('broken for good')
  })
  await using _capsule = await world.start({ jobs: [FailingJob] })
  const batch = await Batch.enqueue({}, () => enqueue(FailingJob))
  const { jobId: id } = await gate.entered
  await world.sql('ALTER TABLE good_job_executions RENAME TO moved')
  const failing = next('outcome_write_failed', 2)
  const done = performed(id)
  gate.open()
  await failing
  expect(await world.job(id)).toMatchObject({ finished_at: null, error: null, batch_id: batch.id })
  expect(await batch.reload()).toMatchObject({ isDiscarded: false, isFinished: false })
  await world.sql('ALTER TABLE moved RENAME TO good_job_executions')
  await done
  expect(await world.job(id)).toMatchObject({ finished_at: expect.any(Date), error: 'StandardError: broken for good' })
  expect(await batch.reload()).toMatchObject({ isDiscarded: true, isFinished: true })
})

test('a worker continues after a migration that changes the type of a column it reads [GJ-003]', async () => {
  const EchoJob = jobClass('EchoJob', () => {})
  await using _capsule = await world.start({ jobs: [EchoJob] })
  await performed(await enqueue(EchoJob))
  await performed(await enqueue(EchoJob))
  await world.sql('ALTER TABLE good_jobs ALTER COLUMN executions_count TYPE bigint')
  const failures = record('claim_failed')
  await performed(await enqueue(EchoJob))
  failures.stop()
  expect(failures.seen).toEqual([])
  await world.sql('ALTER TABLE good_jobs ALTER COLUMN executions_count TYPE integer')
  await performed(await enqueue(EchoJob))
})
