import { afterAll, expect, test } from 'vitest'
import { enqueue, Gate, jobClass, next, openWorld, performed } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const EchoJob = jobClass('EchoJob', () => undefined)
const rows = (id: string) => world.sql('SELECT FROM good_job_processes WHERE id = $1', [id])

test('a capsule that restarts has the same id, runs jobs again, and has a process row', async () => {
  await using capsule = await world.start({ jobs: [EchoJob] })
  const { processId } = capsule
  await capsule.restart()
  expect([capsule.state, capsule.processId, capsule.isStoppedCleanly]).toEqual(['running', processId, true])
  expect(await rows(processId)).toHaveLength(1)
  await performed(await enqueue(EchoJob))
  await capsule.restart()
  await performed(await enqueue(EchoJob))
  await capsule.shutdown()
  expect(await rows(processId)).toEqual([])
})

test('a capsule that was shut down, or never started, is started by a restart', async () => {
  const capsule = await world.start({ jobs: [EchoJob] })
  await capsule.shutdown()
  await expect(capsule.start()).rejects.toThrow(/restart\(\) starts it again/)
  await capsule.restart()
  expect(capsule.state).toBe('running')
  await capsule.shutdown()
})

test('a restart aborts jobs after its timeout, and the next one may be aborted, too', async () => {
  const HangJob = jobClass(
    'HangJob',
    (job) => new Promise((_, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason))),
  )
  await using capsule = await world.start({ jobs: [HangJob] })
  for (const _time of [1, 2]) {
    const started = next('perform_start')
    const id = await enqueue(HangJob)
    await started
    await capsule.restart({ timeout: 0 })
    expect(await world.job(id)).toMatchObject({ finished_at: null, performed_at: expect.any(Date) })
    await world.adapter.forceDiscardJob(id)
  }
})

test('an abort of the last shutdown does not reach the next one', async () => {
  const gate = new Gate()
  const EndingJob = jobClass('EndingJob', async (job) => {
    const aborted = new Promise((_, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason)))
    await Promise.race([gate.pass(job), aborted])
  })
  await using capsule = await world.start({ jobs: [EndingJob] })
  const stopped = capsule.shutdown()
  capsule.abort()
  await stopped
  await capsule.restart()
  const id = await enqueue(EndingJob)
  await gate.entered
  const stopping = capsule.shutdown({ timeout: -1 })
  // Time in which the job would be aborted.
  await world.sql('SELECT pg_sleep(0.3)')
  gate.open()
  await stopping
  expect(await world.job(id)).toMatchObject({ finished_at: expect.any(Date), error: null })
})

test('a job that ignores its signal delays the start until it has ended, and its end does not remove the new process row', async () => {
  const gate = new Gate()
  const DeafJob = jobClass('DeafJob', (job) => gate.pass(job))
  await using capsule = await world.start({ jobs: [DeafJob] })
  const id = await enqueue(DeafJob)
  await gate.entered
  const stopped = next('scheduler_shutdown', 1, ({ processId }) => processId === capsule.processId)
  const restarted = capsule.restart({ timeout: 0 })
  await stopped
  await world.sql('SELECT pg_sleep(0.3)')
  expect(capsule.state).toBe('stopped')
  const ended = performed(id)
  gate.open()
  await ended
  await restarted
  expect(capsule.state).toBe('running')
  expect(await rows(capsule.processId)).toHaveLength(1)
})

test('two restarts at the same time are one', async () => {
  await using capsule = await world.start({ jobs: [EchoJob] })
  const shutdowns = next('scheduler_shutdown', 2, ({ processId }) => processId === capsule.processId)
  await Promise.all([capsule.restart(), capsule.restart()])
  await capsule.shutdown()
  await shutdowns
})

test('a shutdown during a restart wins: the restart rejects, and nothing runs', async () => {
  const capsule = await world.start({ jobs: [EchoJob] })
  const restarted = expect(capsule.restart()).rejects.toThrow(/was shut down while it restarted/)
  await capsule.shutdown()
  await restarted
  expect(capsule.state).toBe('stopped')
  expect(await rows(capsule.processId)).toEqual([])
})

test('a timeout of null is refused, because nothing would wait for the shutdown', async () => {
  await using capsule = await world.start({ jobs: [EchoJob] })
  await expect(capsule.restart({ timeout: null as never })).rejects.toThrow(/^restart: a timeout of null/)
  expect(capsule.state).toBe('running')
})
