import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Job } from '../../src/job/base.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, until, type World } from '../support/harness.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const UNLOCKED = { locked_by_id: null, locked_at: null, lock_type: null }

/** A job that ends when its signal is aborted, and the reasons of the aborts. */
const patient = (name: string) => {
  const gate = new Gate()
  const reasons: unknown[] = []
  const made = jobClass(name, async (job: Job) => {
    void gate.pass(job)
    await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }))
    reasons.push(await job.stoppingReason())
    throw job.signal.reason
  })
  return { made, entered: gate.entered, reasons }
}

test('a force-discard aborts the signal of the running job within two seconds, and stands [GJ-092]', async () => {
  const { made, entered } = patient('Patient')
  await using _worker = await world.start({ jobs: [made] })
  const id = await enqueue(made)
  await entered
  const withdrawn = next('job_withdrawn')
  const dropped = next('outcome_lost')
  const discardedAt = performance.now()
  await world.adapter.forceDiscardJob(id, 'wrong tenant')
  expect(await withdrawn).toMatchObject([{ jobId: id, lostBy: 'finished' }])
  expect(performance.now() - discardedAt).toBeLessThan(2_000)
  expect(await dropped).toMatchObject([{ reason: 'the job was finished by another session while it ran' }])
  expect(await world.job(id)).toMatchObject({ error: 'GoodJob::Job::DiscardJobError: wrong tenant', ...UNLOCKED })
  expect(await world.executions(id)).toMatchObject([{ error_event: 5, finished_at: expect.any(Date) }])
})

test('a job that runs again after its force-discard is not ended by the discarded attempt', async () => {
  const gate = new Gate()
  let runs = 0
  const Stubborn = jobClass('Stubborn', async (job) => {
    runs += 1
    if (runs === 1) await gate.pass(job)
  })
  await using _worker = await world.start({ jobs: [Stubborn] })
  const id = await enqueue(Stubborn)
  await gate.entered
  const withdrawn = next('job_withdrawn')
  await world.adapter.forceDiscardJob(id)
  await withdrawn
  // The dashboard of a Ruby process on skiplocked retries without checking locks; the lock columns stay unchanged.
  await world.sql(
    `UPDATE good_jobs SET finished_at = NULL, performed_at = NULL, error_event = 3, scheduled_at = now() AT TIME ZONE 'UTC' WHERE id = $1`,
    [id],
  )
  const again = performed(id)
  gate.open()
  await until(async () => (await world.job(id)).locked_by_id === null, 'released')
  await world.sql(`SELECT pg_notify('good_job', '{}')`)
  await again
  expect(runs).toBe(2)
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2, ...UNLOCKED })
})

test.each([1, 3])(
  'a job that is retried while it runs starts again when its lock is free, without a poll: lanes %i',
  async (lanes) => {
    const gate = new Gate()
    let runs = 0
    const Held = jobClass(`Held${lanes}`, async (job) => {
      runs += 1
      if (runs === 1) await gate.pass(job)
    })
    const Other = jobClass(`Other${lanes}`, () => undefined)
    await using _worker = await world.start({ jobs: [Held, Other], threads: 3, lanes, pollInterval: -1 })
    const id = await enqueue(Held)
    await gate.entered
    await world.sql('UPDATE good_jobs SET performed_at = NULL, locked_by_id = NULL, locked_at = NULL WHERE id = $1', [
      id,
    ])
    // A claim woken since then, as by the NOTIFY of a retry, has found the lock of the attempt that still runs.
    await performed(await enqueue(Other))
    // No claim is left that the end of this job or of the other could trigger.
    const atRest = `SELECT bool_and(state = 'idle' AND state_change < clock_timestamp() - interval '0.5 s') AS is_at_rest
      FROM pg_stat_activity WHERE application_name = 'GoodJob::Lane' AND datname = current_database()`
    await until(async () => (await world.sql<{ is_at_rest: boolean }>(atRest))[0]?.is_at_rest === true, 'no claim')
    const dropped = next('outcome_lost')
    const again = performed(id)
    gate.open()
    expect(await dropped).toMatchObject([{ jobId: id, reason: 'the job no longer belonged to this process' }])
    await again
    expect(runs).toBe(2)
    expect(await world.job(id)).toMatchObject({ error: null, ...UNLOCKED })
  },
  30_000,
)

test.each([
  ['deleted', 'DELETE FROM good_jobs WHERE id = $1', 'force_discarded'],
  ['released', 'UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1', 'stopping'],
] as const)(
  'a job whose row is %s while it runs gets its signal aborted, and its result is dropped',
  async (lostBy, statement, reason) => {
    const { made, entered, reasons } = patient(`Job${lostBy}`)
    await using worker = await world.start({ jobs: [made] })
    const id = await enqueue(made)
    await entered
    const withdrawn = next('job_withdrawn')
    const dropped = next('outcome_lost')
    await world.sql(statement, [id])
    expect(await withdrawn).toMatchObject([{ jobId: id, lostBy }])
    expect(await dropped).toMatchObject([{ jobId: id, reason: 'the job no longer belonged to this process' }])
    // A released job may run elsewhere by now: it is not discarded.
    expect(reasons).toEqual([reason])
    expect(await world.sql('SELECT finished_at FROM good_jobs WHERE id = $1', [id])).toEqual(
      lostBy === 'deleted' ? [] : [{ finished_at: null }],
    )
    expect(worker.state).toBe('running')
    await world.sql('DELETE FROM good_jobs WHERE id = $1', [id])
  },
)

/** A user's pool that records the number of claims in each query of the attempt watch. */
class ListeningPool extends Pool {
  readonly queries: number[] = []

  override query(statement: unknown, ...rest: unknown[]): never {
    const { text, values } = statement as { text?: string; values?: unknown[][] }
    if (text?.includes('AS lost_by')) this.queries.push(values?.[0]?.length ?? 0)
    return super.query(statement as string, ...(rest as [])) as never
  }
}

test('the attempt watch sends no statement for short jobs, and one statement for all long ones', async () => {
  const pool = new ListeningPool({ connectionString: world.url })
  const Short = jobClass('Short', () => undefined)
  const gates = [new Gate(), new Gate()]
  const Long = jobClass('Long', (job, index: never) => gates[index]?.pass(job))
  try {
    await using _worker = await world.start({ jobs: [Short, Long], pool })
    for (const end = performance.now() + 1_500; performance.now() < end; ) {
      const done = next('perform_job')
      await enqueue(Short)
      await done
    }
    expect(pool.queries).toEqual([])
    for (const index of gates.keys()) await enqueue(Long, {}, index)
    await until(async () => pool.queries.includes(2), 'a query of both long jobs')
    for (const gate of gates) gate.open()
  } finally {
    await pool.end()
  }
})
