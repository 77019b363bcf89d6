import { afterAll, expect, test } from 'vitest'
import { Batch, Capsule, events, Job } from '../../src/index.ts'
import { runCli, runJson } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'

class MemberJob extends Job {
  static {
    this.discardOn(RangeError)
  }
  perform(isGood: boolean): void {
    if (!isGood && this.executions === 1) throw new RangeError('not today')
  }
}

class CallbackJob extends Job {
  perform(): void {}
}

/** Fails with an error that the row can only name by its Ruby equivalent. */
class PlainErrorJob extends Job {
  static {
    this.discardOn(Error)
  }
  perform(): void {
    throw new Error('plain')
  }
}

const { adapter, database, close } = await openWorld()
afterAll(close)

const batches = (...args: string[]) => runCli(['batches', ...args], { env: { DATABASE_URL: database.url } })

/** Runs a worker until the batch is in this state. */
const workUntil = async (event: 'batch_completed' | 'batch_recovered', id: string): Promise<void> => {
  await using capsule = new Capsule({
    jobs: [MemberJob, CallbackJob],
    databaseUrl: database.url,
    batchSweepInterval: 0,
  })
  const reached = events.once(event, ({ batchId }) => batchId === id)
  await capsule.start()
  await reached
}

const discardedBatch = async (): Promise<Batch> => {
  const callbacks = { onSuccess: CallbackJob, onFinish: CallbackJob, onDiscard: CallbackJob }
  const batch = await Batch.enqueue({ ...callbacks, description: 'import' }, async () => {
    await MemberJob.performLater(true)
    await MemberJob.performLater(false)
  })
  await workUntil('batch_completed', batch.id)
  return batch
}

test('list and show print the states of a batch, and retry recovers it', async () => {
  const { id } = await discardedBatch()
  const listed = await batches('list', '--state', 'discarded')
  expect(listed.stdout).toMatch(new RegExp(`^${id}\\s+discarded.*1 succeeded, 1 discarded\\s+import$`, 'm'))
  expect(await runJson(database.url, 'batches', 'list')).toMatchObject({
    batches: [{ id, state: 'discarded', description: 'import', jobs: { succeeded: 1, discarded: 1 } }],
    next: null,
  })
  const shown = await batches('show', id)
  expect(shown.stdout).toContain('█✖')
  expect(shown.stdout).toContain('2 jobs: 1 succeeded, 1 discarded')
  expect(shown.stdout).toContain('discarded: it recovers when its discarded jobs are retried and succeed')
  expect(shown.stdout).toMatch(/\+.*job broken {2}MemberJob: RangeError: not today/)
  expect(await runJson(database.url, 'batches', 'show', id)).toMatchObject({
    id,
    jobs: { succeeded: 1, discarded: 1, running: 0 },
    recovery: { state: 'waiting' },
    callbacks: [{ event: 'discard', job_class: 'CallbackJob' }, { event: 'finish' }],
    discarded_at: expect.any(String),
  })

  expect(await batches('retry', id)).toMatchObject({ code: 0, stdout: `1 job of batch ${id} retried.\n` })
  await workUntil('batch_completed', id)
  const again = await batches('show', id)
  expect(again.stdout).toContain('██')
  expect(again.stdout).toContain('on_success')
})

test('show names the JavaScript class of the errors of members and callbacks', async () => {
  const member = new PlainErrorJob()
  const batch = await Batch.enqueue({ onFinish: PlainErrorJob }, () => member.enqueue())
  await using capsule = new Capsule({ jobs: [PlainErrorJob], databaseUrl: database.url, batchSweepInterval: 0 })
  const called = events.once('perform_job', ({ jobId }) => jobId !== member.jobId)
  await capsule.start()
  await called
  const { stdout } = await batches('show', batch.id)
  expect(stdout).toMatch(/on_finish {3}PlainErrorJob .*\n\s+Error: plain$/m)
  expect(stdout).toMatch(/job broken {2}PlainErrorJob: Error: plain/)
  expect(stdout).not.toContain('StandardError')
  expect(await runJson(database.url, 'batches', 'show', batch.id)).toMatchObject({
    callbacks: [{ event: 'finish', error: 'StandardError: plain', thrown_as: 'Error' }],
  })
})

test('jobs retry of the one job recovers the batch', async () => {
  const { id } = await discardedBatch()
  const { jobs } = await runJson<{ jobs: { id: string }[] }>(
    database.url,
    'jobs',
    'list',
    '--batch',
    id,
    '--state',
    'discarded',
  )
  await runCli(['jobs', 'retry', jobs[0]?.id ?? ''], { env: { DATABASE_URL: database.url } })
  await workUntil('batch_recovered', id)
  expect(await runJson(database.url, 'batches', 'show', id)).toMatchObject({
    recovery: { state: 'recovered' },
    discarded_at: null,
  })
})

/** A discarded batch whose failed member was deleted, so its recovery cannot be proven. */
const unprovenBatch = async (): Promise<string> => {
  const { id } = await discardedBatch()
  await adapter.database.pool.query('DELETE FROM good_jobs WHERE batch_id = $1 AND error IS NOT NULL', [id])
  return id
}

test('an unproven batch is listed with the reason, a retry of it is refused, and --force recovers it', async () => {
  const id = await unprovenBatch()
  const listed = await batches('list', '--unproven')
  expect(listed.stdout).toContain(id)
  expect(listed.stdout).toContain('no member succeeded in an attempt')
  expect(await runJson(database.url, 'batches', 'list', '--unproven')).toMatchObject({
    batches: [{ id, reason: expect.any(String) }],
  })

  const refused = await batches('recover', id)
  expect(refused.code).toBe(1)
  expect(refused.stdout).toMatch(new RegExp(`^${id}  unproven: no member succeeded`))
  const all = await batches('recover')
  expect(all.stdout).toContain('0 batches recovered, 1 unproven. If you know that nothing was lost')

  const dry = await batches('recover', id, '--force', '--dry-run')
  expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('would be recovered') })
  expect(dry.stdout).toContain('Would enqueue: CallbackJob (success)')
  expect((await Batch.find(id)).isDiscarded).toBe(true)

  const forced = await runJson(database.url, 'batches', 'recover', id, '--force')
  expect(forced).toMatchObject({
    dry_run: false,
    batches: [
      {
        id,
        outcome: 'recovered',
        callbacks: [{ event: 'success', job_class: 'CallbackJob', job_id: expect.any(String) }],
      },
    ],
  })
  expect((await batches('list', '--unproven')).stdout).toBe('No unproven batches.\n')
})

test('--force without an id is a usage error, and an unknown batch exits with 1', async () => {
  expect(await batches('recover', '--force')).toMatchObject({ code: 2, stderr: expect.stringContaining('name its id') })
  const missing = await batches('show', '01234567-89ab-cdef-0123-456789abcdef')
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no batch') })
})

test('callback enqueues a callback manually and prints it; discard ends every unfinished member', async () => {
  const batch = await Batch.enqueue({ onDiscard: CallbackJob, onFinish: 'Ruby::ReportJob' }, async () => {
    await MemberJob.performLater(true)
    await MemberJob.performLater(true)
  })
  const { stdout } = await batches('callback', batch.id, 'finish')
  expect(stdout).toMatch(
    new RegExp(`^Enqueued Ruby::ReportJob as the finish callback of batch ${batch.id}: job [\\w-]+\\.\\n$`),
  )
  expect((await batches('callback', batch.id, 'success')).stderr).toContain('names no class for success')
  expect((await batches('callback', batch.id, 'end')).code).toBe(2)
  const discarded = await batches('discard', batch.id)
  expect(discarded.stdout).toContain(`2 jobs of batch ${batch.id} discarded. Enqueued: CallbackJob (discard)`)
})
