import { randomBytes } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { sweepBatches } from '../../src/batch/completion/sweep.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import type { Job, JobConstructor } from '../../src/job/base.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { inTurn } from '../support/clean-up.ts'
import { jobClass, next, openWorld, performed, until } from '../support/harness.ts'

const world = await openWorld()
// No superuser: policies are for them.
const role = `tenant_${randomBytes(4).toString('hex')}`
await world.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'x'`)
await world.sql(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ${role}`)
const roleUrl = Object.assign(new URL(world.url), { username: role, password: 'x' }).href
const ofRole = new Adapter({ databaseUrl: roleUrl })
afterAll(
  inTurn(
    () => ofRole.close(),
    () => world.sql(`DROP OWNED BY ${role}`),
    () => world.sql(`DROP ROLE ${role}`),
    () => world.close(),
  ),
)
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

const CallbackJob = jobClass('CallbackJob', () => {})
const CALLBACKS = { onSuccess: CallbackJob, onFinish: CallbackJob, onDiscard: CallbackJob }
const make = (made: JobConstructor): Job => new (made as new () => Job)()

const sweep = () =>
  sweepBatches({
    database: ofRole.database,
    check: checkOptionsOf(ofRole),
    processId: '00000000-0000-4000-8000-000000000001',
    windowMs: 3_600_000,
    graceMs: 0,
  })

const callbacksOf = async (batch: Batch) => (await batch.status()).callbacks.map(({ event }) => event).toSorted()

/** A member class that counts its runs. */
const member = (end: () => void = () => {}) => {
  const ran: string[] = []
  const MemberJob = jobClass('MemberJob', ({ jobId }) => {
    ran.push(jobId)
    end()
  })
  return { MemberJob, ran }
}

const TROUBLES: readonly (readonly [string, string, string])[] = [
  [
    'a constraint',
    `ALTER TABLE good_jobs ADD CONSTRAINT no_callbacks CHECK (batch_callback_id IS NULL)`,
    'ALTER TABLE good_jobs DROP CONSTRAINT no_callbacks',
  ],
  [
    'a trigger with a SQLSTATE of its own',
    `CREATE FUNCTION no_callbacks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'US001'; END $$;
     CREATE TRIGGER no_callbacks BEFORE INSERT ON good_jobs FOR EACH ROW WHEN (NEW.batch_callback_id IS NOT NULL) EXECUTE FUNCTION no_callbacks()`,
    'DROP FUNCTION no_callbacks CASCADE',
  ],
  [
    'a trigger that the COMMIT fires',
    `CREATE FUNCTION no_callbacks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
     CREATE CONSTRAINT TRIGGER no_callbacks AFTER INSERT ON good_jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
       WHEN (NEW.batch_callback_id IS NOT NULL) EXECUTE FUNCTION no_callbacks()`,
    'DROP FUNCTION no_callbacks CASCADE',
  ],
  [
    'a policy of row-level security',
    `ALTER TABLE good_jobs ENABLE ROW LEVEL SECURITY;
     CREATE POLICY no_callbacks ON good_jobs USING (true) WITH CHECK (batch_callback_id IS NULL)`,
    `DROP POLICY no_callbacks ON good_jobs;
     ALTER TABLE good_jobs DISABLE ROW LEVEL SECURITY`,
  ],
]

test.each(TROUBLES)(
  'outcomes are kept while %s refuses the callbacks of their batch; a later sweep enqueues the callbacks once',
  async (_what, refuse, allow) => {
    const { MemberJob, ran } = member()
    const refused = next('batch_check_refused')
    await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob], databaseUrl: roleUrl })
    await world.sql(refuse)
    try {
      const members = [make(MemberJob), make(MemberJob)]
      const done = performed(...members.map(({ jobId }) => jobId))
      const batch = await Batch.enqueue(CALLBACKS, members)
      await done
      expect((await refused)[0]).toMatchObject({
        batchId: batch.id,
        callbacks: ['on_success CallbackJob', 'on_finish CallbackJob'],
        error: expect.any(Error),
      })
      expect(ran).toHaveLength(2)
      expect(await batch.reload()).toMatchObject({ jobsFinishedAt: null, isFinished: false })
      const again = next('batch_check_refused')
      expect(await sweep()).toMatchObject({ healed: 0 })
      expect((await again)[0]).toMatchObject({ batchId: batch.id })
      await world.sql(allow)
      expect(await sweep()).toMatchObject({ healed: 1 })
      expect(await sweep()).toMatchObject({ healed: 0 })
      expect(await callbacksOf(batch)).toEqual(['finish', 'success'])
      await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
      expect(ran).toHaveLength(2)
    } finally {
      await world.sql(allow).catch(() => {})
    }
  },
)

/** A user's trigger misses its table: every outcome refused for this reason waits until the table is back. */
const PASSING = `
  CREATE FUNCTION no_callbacks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '42P01'; END $$;
  CREATE TRIGGER no_callbacks BEFORE INSERT ON good_jobs FOR EACH ROW WHEN (NEW.batch_callback_id IS NOT NULL) EXECUTE FUNCTION no_callbacks()`
const PASSED = 'DROP FUNCTION no_callbacks CASCADE'

/** A class whose jobs wait in `perform` for `open`. */
const gated = (name: string) => {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  let entered = 0
  const GateJob = jobClass(name, async () => {
    entered += 1
    await opened
  })
  return {
    GateJob,
    open: () => open(),
    entered: (count: number) => until(async () => entered >= count, `${count} run`),
  }
}

/** Three jobs, each enqueued when the one before has ended. */
const runOneByOne = async (made: JobConstructor): Promise<void> => {
  for (let count = 0; count < 3; count++) {
    const job = make(made)
    const done = performed(job.jobId)
    await world.adapter.enqueue(job)
    await done
  }
}

/** Jobs of this class run while the check of the batch that `open` lets end is refused. */
const runBesideRefusal = async (made: JobConstructor, open: () => void): Promise<void> => {
  await world.sql(PASSING)
  try {
    const failed = next('outcome_write_failed')
    open()
    await failed
    await runOneByOne(made)
  } finally {
    await world.sql(PASSED)
  }
}

test('many members of a batch whose check has to wait do not delay the outcomes of other jobs', async () => {
  const { GateJob, open, entered } = gated('GateJob')
  const { MemberJob } = member()
  await using _capsule = await world.start({ jobs: [GateJob, MemberJob, CallbackJob], threads: 20 })
  const members = Array.from({ length: 12 }, () => make(GateJob))
  const batch = await Batch.enqueue(CALLBACKS, members)
  await entered(members.length)
  await runBesideRefusal(MemberJob, open)
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
  expect(await callbacksOf(batch)).toEqual(['finish', 'success'])
})

test('a running job that joins a batch whose check has to wait does not delay other outcomes', async () => {
  const { GateJob, open, entered } = gated('GateJob')
  const { MemberJob } = member()
  await using _capsule = await world.start({ jobs: [GateJob, MemberJob, CallbackJob], threads: 5 })
  const joining = make(GateJob)
  await world.adapter.enqueue(joining)
  await entered(1)
  const batch = await Batch.enqueue(CALLBACKS, joining)
  await runBesideRefusal(MemberJob, open)
  await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
  expect(await callbacksOf(batch)).toEqual(['finish', 'success'])
})

test('members end although the queue name of their callback is too long for a NOTIFY message', async () => {
  const { MemberJob, ran } = member()
  const refused = next('batch_check_refused')
  await using _capsule = await world.start({ jobs: [MemberJob] })
  const job = make(MemberJob)
  const done = performed(job.jobId)
  const batch = await Batch.enqueue({ ...CALLBACKS, callbackQueueName: 'q'.repeat(8_000) }, job)
  await done
  expect((await refused)[0]).toMatchObject({ batchId: batch.id, error: { code: '22023' } })
  expect(ran).toHaveLength(1)
})

test('other batches complete while the callbacks of one batch are refused', async () => {
  const { MemberJob } = member()
  const [, , refuse, allow] = ['', '', ...(TROUBLES[1]?.slice(1) ?? [])]
  const refused = next('batch_check_refused')
  await world.sql((refuse ?? '').replace('NEW.batch_callback_id IS NOT NULL', `NEW.queue_name = 'refused'`))
  try {
    const batches = await Batch.enqueueAll([
      [CALLBACKS, make(MemberJob)],
      [{ ...CALLBACKS, callbackQueueName: 'refused' }, make(MemberJob)],
      [CALLBACKS, make(MemberJob)],
    ])
    const done = next('batch_completed', 2)
    await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
    await done
    expect((await refused)[0]).toMatchObject({ batchId: batches[1]?.id })
    const fine = [batches[0], batches[2]] as Batch[]
    for (const batch of fine) expect(await callbacksOf(batch)).toEqual(['finish', 'success'])
  } finally {
    await world.sql(allow ?? '')
  }
})

test('a failed member keeps its row while its batch cannot be discarded, so the batch never succeeds', async () => {
  const { MemberJob } = member(() => {
    throw new Error('broken')
  })
  const [, refuse, allow] = TROUBLES[0] ?? ['', '', '']
  await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob], preserveJobRecords: false })
  await world.sql(refuse)
  try {
    const job = make(MemberJob)
    const done = performed(job.jobId)
    const batch = await Batch.enqueue(CALLBACKS, job)
    await done
    expect(await world.job(job.jobId)).toMatchObject({ error: 'StandardError: broken', finished_at: expect.any(Date) })
    await world.sql(allow)
    const callbacks = next('perform_job', 2)
    expect(await sweep()).toMatchObject({ healed: 1 })
    await callbacks
    expect(await batch.reload()).toMatchObject({ isDiscarded: true, isSucceeded: false })
    expect(
      (await world.sql(`SELECT FROM good_jobs WHERE serialized_params #>> '{arguments,1,event,value}' = 'success'`))
        .length,
    ).toBe(0)
  } finally {
    await world.sql(allow).catch(() => {})
  }
})

test('a check that fails for a temporary reason delays its own batch and no other', async () => {
  const { MemberJob, ran } = member()
  await world.sql(
    (TROUBLES[1]?.[1] ?? '')
      .replace('US001', '55000')
      .replace('NEW.batch_callback_id IS NOT NULL', `NEW.queue_name = 'refused'`),
  )
  const failing = next('outcome_write_failed')
  await using _capsule = await world.start({ jobs: [MemberJob, CallbackJob] })
  try {
    const job = make(MemberJob)
    const batch = await Batch.enqueue({ ...CALLBACKS, callbackQueueName: 'refused' }, job)
    await failing
    const completed = next('batch_completed', 5)
    const others = await Batch.enqueueAll(Array.from({ length: 5 }, () => [CALLBACKS, make(MemberJob)] as const))
    await completed
    for (const other of others) expect(await callbacksOf(other)).toEqual(['finish', 'success'])
    expect(await world.job(job.jobId)).toMatchObject({ finished_at: null })
    const done = performed(job.jobId)
    await world.sql(TROUBLES[1]?.[2] ?? '')
    await done
    expect(await callbacksOf(batch)).toEqual(['finish', 'success'])
    expect(ran).toHaveLength(6)
  } finally {
    await world.sql(TROUBLES[1]?.[2] ?? '').catch(() => {})
  }
})
