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

/** A body that ends when its signal fires, and what it was told. */
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

test('a force-discard fires the signal of the running body within two seconds, and stays [GJ-092]', async () => {
  const { made, entered } = patient('Patient')
  await using _worker = await world.start({ jobs: [made] })
  const id = await enqueue(made)
  await entered
  const told = next('job_withdrawn')
  const dropped = next('outcome_lost')
  const discardedAt = performance.now()
  await world.adapter.forceDiscardJob(id, 'by hand')
  expect(await told).toMatchObject([{ jobId: id, lostBy: 'finished' }])
  expect(performance.now() - discardedAt).toBeLessThan(2_000)
  expect(await dropped).toMatchObject([{ reason: 'the job was finished by another session while it ran' }])
  expect(await world.job(id)).toMatchObject({ error: 'GoodJob::Job::DiscardJobError: by hand', ...UNLOCKED })
  expect(await world.executions(id)).toMatchObject([{ error_event: 5, finished_at: expect.any(Date) }])
})

test('a job that runs again after its force-discard is not ended by the attempt that was discarded', async () => {
  const gate = new Gate()
  let runs = 0
  const Stubborn = jobClass('Stubborn', async (job) => {
    runs += 1
    if (runs === 1) await gate.pass(job)
  })
  await using _worker = await world.start({ jobs: [Stubborn] })
  const id = await enqueue(Stubborn)
  await gate.entered
  const told = next('job_withdrawn')
  await world.adapter.forceDiscardJob(id)
  await told
  // The dashboard of a Ruby process on skiplocked retries without a look at locks; the lock columns stay as they are.
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
  'a job that somebody lets wait again while it runs starts when its lock is free, without a poll: lanes %i',
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
    // A claim that was woken since, as by the message of a retry, has met the lock of the attempt that still runs.
    await performed(await enqueue(Other))
    // Nor is any claim left that the end of this job, or of the other, could meet.
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
  'a job whose row is %s while it runs is told, and its result dropped',
  async (lostBy, statement, reason) => {
    const { made, entered, reasons } = patient(`Job${lostBy}`)
    await using worker = await world.start({ jobs: [made] })
    const id = await enqueue(made)
    await entered
    const told = next('job_withdrawn')
    const dropped = next('outcome_lost')
    await world.sql(statement, [id])
    expect(await told).toMatchObject([{ jobId: id, lostBy }])
    expect(await dropped).toMatchObject([{ jobId: id, reason: 'the job no longer belonged to this process' }])
    // What was released may run elsewhere by now: it is not discarded.
    expect(reasons).toEqual([reason])
    expect(await world.sql('SELECT finished_at FROM good_jobs WHERE id = $1', [id])).toEqual(
      lostBy === 'deleted' ? [] : [{ finished_at: null }],
    )
    expect(worker.state).toBe('running')
    await world.sql('DELETE FROM good_jobs WHERE id = $1', [id])
  },
)

/** A pool of the user's; how many claims each look of the watch asked about. */
class ListeningPool extends Pool {
  readonly looks: number[] = []

  override query(statement: unknown, ...rest: unknown[]): never {
    const { text, values } = statement as { text?: string; values?: unknown[][] }
    if (text?.includes('AS lost_by')) this.looks.push(values?.[0]?.length ?? 0)
    return super.query(statement as string, ...(rest as [])) as never
  }
}

test('nothing is asked while every body is short, and one statement for all that are not', async () => {
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
    expect(pool.looks).toEqual([])
    for (const index of gates.keys()) await enqueue(Long, {}, index)
    await until(async () => pool.looks.includes(2), 'a look at both long jobs')
    for (const gate of gates) gate.open()
  } finally {
    await pool.end()
  }
})
