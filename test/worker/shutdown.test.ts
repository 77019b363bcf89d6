import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorkerProcess } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, until, type World } from '../support/harness.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const gated = (name: string, gate: Gate) => jobClass(name, (job) => gate.pass(job))
const untilAborted = (name: string, outcome: 'throws' | 'returns') =>
  jobClass(name, async (job) => {
    await new Promise<void>((resolve) => job.signal.addEventListener('abort', () => resolve(), { once: true }))
    if (outcome === 'throws') throw job.signal.reason
  })

test('a shutdown with timeout -1 waits for running jobs and claims no others [GJ-085]', async () => {
  const gate = new Gate()
  const Slow = gated('Slow', gate)
  const capsule = await world.start({ jobs: [Slow], threads: 1, shutdownTimeout: -1 })
  const id = await enqueue(Slow)
  await gate.entered
  const waiting = await enqueue(Slow)
  const stopped = capsule.shutdown()
  const done = performed(id)
  gate.open()
  await done
  await stopped
  expect(capsule.state).toBe('stopped')
  expect(await world.job(id)).toMatchObject({ error: null, finished_at: expect.any(Date) })
  expect(await world.job(waiting)).toMatchObject({ performed_at: null, locked_by_id: null })
  expect(await world.sql('SELECT id FROM good_job_processes')).toEqual([])
  await world.sql('DELETE FROM good_jobs')
})

test.each([0, 0.2])(
  '%s seconds: a job that stops at its signal runs again as interrupted, and nothing is lost',
  async (timeout) => {
    const Stops = untilAborted('Stops', 'throws')
    const capsule = await world.start({ jobs: [Stops] })
    const started = next('scheduler_shutdown_kill')
    const id = await enqueue(Stops)
    await until(async () => (await world.job(id)).performed_at !== null, 'started')
    await capsule.shutdown({ timeout })
    expect((await started)[0]).toMatchObject({ activeJobIds: [id] })
    expect(await world.job(id)).toMatchObject({
      finished_at: null,
      locked_by_id: null,
      error: null,
      performed_at: expect.any(Date),
    })
    const Quick = jobClass('Stops', () => undefined)
    const again = performed(id)
    await using _next = await world.start({ jobs: [Quick] })
    await again
    const [first, second] = await world.executions(id)
    expect(first).toMatchObject({
      error_event: 0,
      error: expect.stringMatching(
        /^GoodJob::InterruptedError: Interrupted after starting perform at '\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC'$/,
      ),
    })
    expect(second).toMatchObject({ error: null })
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2 })
  },
)

test('the outcome of a job that succeeds after its signal is written', async () => {
  const Ends = untilAborted('Ends', 'returns')
  const capsule = await world.start({ jobs: [Ends] })
  const id = await enqueue(Ends)
  await until(async () => (await world.job(id)).performed_at !== null, 'started')
  await capsule.shutdown({ timeout: 0 })
  expect(await world.job(id)).toMatchObject({ error: null, finished_at: expect.any(Date) })
})

test('a shutdown with timeout null does not wait; abort ends a wait early', async () => {
  const Stops = untilAborted('Stops2', 'throws')
  const capsule = await world.start({ jobs: [Stops] })
  const id = await enqueue(Stops)
  await until(async () => (await world.job(id)).performed_at !== null, 'started')
  await capsule.shutdown({ timeout: null })
  expect(capsule.state).toBe('stopping')
  capsule.abort()
  await capsule.shutdown()
  expect(capsule.state).toBe('stopped')
  expect(await world.job(id)).toMatchObject({ locked_by_id: null, finished_at: null })
  await world.sql('DELETE FROM good_jobs')
})

test('start and shutdown are idempotent, and a shutdown before the start is no error', async () => {
  const Quick = jobClass('Quick', () => undefined)
  const capsule = await world.start({ jobs: [Quick] })
  await Promise.all([capsule.start(), capsule.start()])
  await Promise.all([capsule.shutdown(), capsule.shutdown()])
  expect(capsule.state).toBe('stopped')
})

test('a process that is killed leaves its job, and the next worker runs it as interrupted [GJ-052] [GJ-063]', async () => {
  const worker = await startWorkerProcess(world.url)
  const id = await world.insert({ job_class: 'HangJob' })
  await world.sql(`SELECT pg_notify('good_job', '{}')`)
  expect(await worker.line('started')).toBe(id)
  await worker.kill()
  expect(await world.job(id)).toMatchObject({
    locked_by_id: worker.processId,
    performed_at: expect.any(Date),
    finished_at: null,
  })
  await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '6 minutes' WHERE id = $1`, [
    worker.processId,
  ])
  const again = performed(id)
  await using _next = await world.start({ jobs: [jobClass('HangJob', () => undefined)] })
  await again
  expect(await world.executions(id)).toMatchObject([
    { error_event: 0, process_id: worker.processId },
    { error_event: null },
  ])
})

test('a process that ends while a job ignores its signal releases its rows first [GJ-061]', async () => {
  const worker = await startWorkerProcess(world.url, { shutdownTimeout: 0 })
  const id = await world.insert({ job_class: 'DeafJob' })
  await world.sql(`SELECT pg_notify('good_job', '{}')`)
  await worker.line('started')
  expect(await worker.stop()).toBe(0)
  expect(await world.job(id)).toMatchObject({ locked_by_id: null, finished_at: null })
  expect(await world.sql('SELECT id FROM good_job_processes WHERE id = $1', [worker.processId])).toEqual([])
  await world.sql('DELETE FROM good_jobs')
})

test('a job that blocks the event loop keeps its lock and its process row alive [GJ-058]', async () => {
  const worker = await startWorkerProcess(world.url)
  const id = await world.insert({
    job_class: 'BlockJob',
    serialized_params: JSON.stringify({
      job_class: 'BlockJob',
      job_id: '00000000-0000-0000-0000-000000000000',
      arguments: [1500],
    }),
  })
  await world.sql(`SELECT pg_notify('good_job', '{}')`)
  await worker.line('started')
  expect(await world.job(id)).toMatchObject({ locked_by_id: worker.processId })
  await worker.line('ended')
  await until(async () => (await world.job(id)).finished_at !== null, 'finished')
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
  expect(await worker.stop()).toBe(0)
})
