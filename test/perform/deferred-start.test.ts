import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/index.ts'
import type { Job } from '../../src/job/base.ts'
import {
  enqueue,
  Gate,
  insertEchoJobs,
  jobClass,
  next,
  openWorld,
  performed,
  type Row,
  until,
} from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'
import { type LockStrategy, RubyWorker } from '../support/ruby-worker.ts'
import { noLocks } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

/** Long enough that a job which only waits for a few statements ends within its round. */
const LONG_ROUND = { deferStart: 5_000 }
const SHORT_ROUND = { deferStart: 5 }
const EchoJob = jobClass('EchoJob', () => {})

/** Runs one job; returns its row and execution without ids and times, so that two ways to start a job can be compared. */
const rowsOf = async (
  deferStart: number,
  perform: () => unknown,
  declare = (_made: ReturnType<typeof jobClass>) => {},
) => {
  const OneJob = jobClass('OneJob', perform, declare)
  await using capsule = await world.start({ jobs: [OneJob], deferStart })
  const id = await enqueue(OneJob)
  await performed(id)
  const { finished_at, performed_at, ...job } = await world.job(id)
  const [execution, ...others] = await world.executions(id)
  expect(others).toEqual([])
  expect(execution?.process_id).toBe(capsule.processId)
  expect(execution?.finished_at).toEqual(finished_at)
  expect(execution?.created_at).toEqual(performed_at)
  return { job: shape(job), execution: shape(execution ?? {}) }
}

/** The columns of a row with their values; ids, times, durations and backtraces only as 'set'. */
const shape = (row: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(
    Object.entries(row).map(([name, value]) => {
      const isOwn = /id$|_at$|^duration$|^serialized_params$|backtrace$/.test(name) && value !== null
      return [name, isOwn ? 'set' : value]
    }),
  )

test.each<[string, () => unknown]>([
  ['that succeeds', () => 'fine'],
  [
    'that fails',
    () => {
      throw new Error('out of paper')
    },
  ],
])(
  'a job %s within its round leaves the same rows as a job with a written start [GJ-044, GJ-046, GJ-051]',
  async (_what, perform) => {
    const deferred = await rowsOf(LONG_ROUND.deferStart, perform)
    const classic = await rowsOf(0, perform)
    expect(deferred).toEqual(classic)
    expect(deferred.job).toMatchObject({ executions_count: 1, locked_by_id: null, locked_at: null, lock_type: null })
    await noLocks(world)
  },
)

test('while its round is open the row of a job is unchanged, and no worker of any lock strategy takes the job [GJ-030, GJ-031, GJ-032]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [GateJob], ...LONG_ROUND })
  const id = await enqueue(GateJob)
  await gate.entered
  expect(await world.job(id)).toMatchObject({ performed_at: null, locked_by_id: null, executions_count: null })
  for (const strategy of ['advisory', 'skiplocked', 'hybrid'] satisfies LockStrategy[]) {
    const ruby = await RubyWorker.connect(world, strategy)
    expect(await ruby.claim(), strategy).toBeUndefined()
  }
  const [behind, isPassed] = [await enqueue(EchoJob), next('perform_job')]
  await using _other = await world.start({ jobs: [GateJob, EchoJob], deferStart: 0 })
  expect((await isPassed)[0]).toMatchObject({ jobId: behind })
  const done = performed(id)
  gate.open()
  expect((await done)[0]).toMatchObject({ processId: capsule.processId })
  expect(await world.executions(id)).toHaveLength(1)
})

test('a job that runs for seconds within its round does not count as released', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob], deferStart: 60_000 })
  const id = await enqueue(GateJob)
  const job = await gate.entered
  // During this time, which passes on the server, the worker checks for withdrawn claims at least once.
  await world.sql('SELECT pg_sleep(1.7)')
  expect(job?.signal.aborted).toBe(false)
  const done = performed(id)
  gate.open()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, locked_by_id: null, executions_count: 1 })
})

test('the start of a job that outlasts its round is written, and the job ends like any other', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [GateJob], ...SHORT_ROUND })
  const id = await enqueue(GateJob)
  await gate.entered
  await until(async () => (await world.job(id)).performed_at !== null, 'the start is written')
  expect(await world.job(id)).toMatchObject({ locked_by_id: capsule.processId, lock_type: 2, executions_count: 1 })
  expect(await world.executions(id)).toMatchObject([{ finished_at: null, process_id: capsule.processId }])
  const done = performed(id)
  gate.open()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, locked_by_id: null, executions_count: 1 })
  expect(await world.executions(id)).toMatchObject([{ error: null, finished_at: expect.any(Date) }])
})

test.each<[string, (made: ReturnType<typeof jobClass>) => void]>([
  [
    'has labels',
    (made) => {
      made.labels = ['red']
    },
  ],
  [
    'wants to hear of interruptions',
    (made) => {
      made.interruptErrors = true
    },
  ],
  [
    'continues after interruptions',
    (made) => {
      made.continuable = true
    },
  ],
])('the start of a job that %s is written before perform begins', async (_what, declare) => {
  const seen: unknown[] = []
  const EagerJob = jobClass('EagerJob', async (job) => seen.push((await world.job(job.jobId)).performed_at), declare)
  await using _capsule = await world.start({ jobs: [EagerJob], ...LONG_ROUND })
  await performed(await enqueue(EagerJob))
  expect(seen).toEqual([expect.any(Date)])
})

// Each in a worker of its own: after a round that had to start its jobs the next claim starts them in any case.
test.each<[string, Row]>([
  ['has a concurrency key', { concurrency_key: 'one' }],
  ['was interrupted before', { performed_at: new Date().toISOString() }],
  ['has labels in its row alone', { labels: ['red'] }],
])('the start of a job that %s is written before perform begins', async (_what, columns) => {
  const seen: unknown[] = []
  const EagerJob = jobClass('EagerJob', async (job) => seen.push((await world.job(job.jobId)).locked_by_id))
  const id = await world.insert({ job_class: 'EagerJob', ...columns })
  const done = performed(id)
  await using capsule = await world.start({ jobs: [EagerJob], ...LONG_ROUND })
  await done
  expect(seen).toEqual([capsule.processId])
})

test('a job that changes its own row waits at most until the end of its round', async () => {
  const OwnJob = jobClass('OwnJob', (job) =>
    world.sql(`UPDATE good_jobs SET labels = '{mine}' WHERE id = $1`, [job.jobId]),
  )
  await using _capsule = await world.start({ jobs: [OwnJob], ...SHORT_ROUND })
  const id = await enqueue(OwnJob)
  await performed(id)
  expect(await world.job(id)).toMatchObject({ error: null, labels: ['mine'], executions_count: 1 })
})

test('a job that retries within its round runs again, and counts both attempts [GJ-048]', async () => {
  const FlakyJob = jobClass(
    'FlakyJob',
    (job) => {
      if (job.executions < 2) throw new Error('not yet')
    },
    (made) => made.retryOn(Error, { wait: 0, attempts: 3 }),
  )
  await using _capsule = await world.start({ jobs: [FlakyJob], ...LONG_ROUND })
  const ended = next('perform_job', 2, ({ jobClass: name }) => name === 'FlakyJob')
  const id = await enqueue(FlakyJob)
  await ended
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2 })
  expect(await world.executions(id)).toMatchObject([
    { error: 'StandardError: not yet', error_event: 3 },
    { error: null },
  ])
})

/** Whether rounds have left all these rows unchanged. */
const areUntouched = async (ids: readonly string[]): Promise<boolean> =>
  (await world.sql('SELECT FROM good_jobs WHERE id = ANY ($1) AND performed_at IS NULL', [ids])).length === ids.length

test('batch members that end in one round complete their batch once, and callbacks that end in one round finish it [GJ-065]', async () => {
  const inside: string[] = []
  const gate = new Gate()
  const together = (job: Job) => {
    inside.push(job.jobId)
    return gate.pass(job)
  }
  const MemberJob = jobClass('MemberJob', together)
  const DoneJob = jobClass('DoneJob', () => undefined)
  const batch = await Batch.enqueue({ onSuccess: DoneJob, onFinish: DoneJob }, async () => {
    for (let member = 0; member < 5; member++) await MemberJob.performLater()
  })
  {
    const ended = next('perform_job', 5)
    await using _capsule = await world.start({ jobs: [MemberJob], ...LONG_ROUND })
    await until(async () => inside.length === 5, 'all members run')
    expect(await areUntouched(inside)).toBe(true)
    gate.open()
    await ended
  }
  const callbacks = await world.sql<{ id: string }>('SELECT id FROM good_jobs WHERE batch_callback_id = $1', [batch.id])
  expect(callbacks).toHaveLength(2)
  expect((await Batch.find(batch.id)).finishedAt).toBeNull()
  const done = performed(...callbacks.map(({ id }) => id))
  await using _capsule = await world.start({ jobs: [DoneJob], ...LONG_ROUND })
  await done
  await batch.reload()
  expect(batch.discardedAt).toBeNull()
  expect(batch.finishedAt).not.toBeNull()
  expect(await world.sql('SELECT id FROM good_jobs WHERE batch_callback_id = $1', [batch.id])).toHaveLength(2)
})

/** The writes to rows of good_jobs from now on, in order: a written start would be one more UPDATE. */
const recordWrites = async () => {
  await world.sql('CREATE TABLE IF NOT EXISTS job_writes (number serial, job_id uuid, operation text)')
  await world.sql(`CREATE OR REPLACE FUNCTION record_write() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO job_writes (job_id, operation) VALUES (OLD.id, TG_OP); RETURN NULL; END $$`)
  await world.sql(
    `CREATE TRIGGER record_write AFTER UPDATE OR DELETE ON good_jobs FOR EACH ROW EXECUTE FUNCTION record_write()`,
  )
  return {
    seen: () =>
      world.sql(
        'SELECT operation, count(*)::int AS writes, count(DISTINCT job_id)::int AS jobs FROM job_writes GROUP BY 1',
      ),
    [Symbol.asyncDispose]: async () => {
      await world.sql('DROP TABLE job_writes')
      await world.sql('DROP FUNCTION record_write CASCADE')
    },
  }
}

test('jobs that are not preserved are deleted by their round, with the executions of earlier attempts [GJ-055]', async () => {
  const id = await world.insert({ job_class: 'EchoJob', executions_count: 1 })
  await world.sql(
    `INSERT INTO good_job_executions (active_job_id, job_class, serialized_params, error, error_event, finished_at, created_at, updated_at)
     VALUES ($1, 'EchoJob', '{}', 'StandardError: not yet', 3, now(), now(), now())`,
    [id],
  )
  const other = await world.insert({ job_class: 'OtherJob' })
  await world.sql(
    `INSERT INTO good_job_executions (active_job_id, job_class, serialized_params, created_at, updated_at) VALUES ($1, 'OtherJob', '{}', now(), now())`,
    [other],
  )
  await using writes = await recordWrites()
  const done = performed(id)
  await using _capsule = await world.start({ jobs: [EchoJob], preserveJobRecords: false, ...LONG_ROUND })
  await done
  expect(await writes.seen()).toEqual([{ operation: 'DELETE', writes: 1, jobs: 1 }])
  expect(await world.sql('SELECT id FROM good_jobs')).toEqual([{ id: other }])
  expect(await world.sql('SELECT active_job_id FROM good_job_executions')).toEqual([{ active_job_id: other }])
})

test('a thousand jobs on two lanes each run once, each outcome is written once, and no lock is left', async () => {
  await using writes = await recordWrites()
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 40, lanes: 2, ...LONG_ROUND })
  const done = next('perform_job', 1_000)
  await insertEchoJobs(world, 1_000)
  await sendMessage(world.pool, '{}')
  expect(new Set((await done).map(({ jobId }) => jobId)).size).toBe(1_000)
  const [counts] = await world.sql(
    `SELECT count(*)::int AS jobs, max(executions_count) AS most FROM good_jobs WHERE finished_at IS NOT NULL`,
  )
  expect(counts).toEqual({ jobs: 1_000, most: 1 })
  expect(await world.sql('SELECT count(*)::int AS rows FROM good_job_executions')).toEqual([{ rows: 1_000 }])
  expect(await writes.seen()).toEqual([{ operation: 'UPDATE', writes: 1_000, jobs: 1_000 }])
  await noLocks(world)
})
