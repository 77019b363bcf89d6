import { afterAll, expect, test } from 'vitest'
import { enqueue, Gate, jobClass, next, openWorld, performed, until } from '../support/harness.ts'
import { type StopMode, startOwnServer } from '../support/own-server.ts'

const server = await startOwnServer()
const world = await openWorld(server.database)
afterAll(() => world.close())

const MODES: readonly StopMode[] = ['fast', 'immediate']
const FLOOD = 300

test.each(MODES)(
  'a server that is stopped (%s) under load and started again costs no lock of a running job, no job, and no second attempt [GJ-042]',
  async (mode) => {
    const [ending, staying] = [new Gate(), new Gate()]
    const EndingJob = jobClass('EndingJob', (job) => ending.pass(job))
    const StayingJob = jobClass('StayingJob', (job) => staying.pass(job))
    const running = new Set<string>()
    const overlaps: string[] = []
    const FloodJob = jobClass('FloodJob', async (job) => {
      if (running.has(job.jobId)) overlaps.push(job.jobId)
      running.add(job.jobId)
      await new Promise((resolve) => setTimeout(resolve, 5))
      running.delete(job.jobId)
    })
    const capsule = await world.start({ jobs: [EndingJob, StayingJob, FloodJob], threads: 10 })
    const ids = [await enqueue(EndingJob), await enqueue(StayingJob)]
    await ending.entered
    const staysRunning = await staying.entered
    const flowing = next('perform_job', 20)
    await world.adapter.enqueueAll(Array.from({ length: FLOOD }, () => new FloodJob()))
    await flowing
    const [lost, refused] = [next('lane_lost'), next('outcome_write_failed')]
    await server.stopServer(mode)
    await lost
    ending.open()
    await refused
    const restored = next('lane_restored')
    const done = performed(...ids)
    await server.startServer()
    expect((await restored)[0]?.lostLocks).toBe(0)
    expect(staysRunning.signal.aborted).toBe(false)
    staying.open()
    await done
    const areFinished = async () =>
      (await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL LIMIT 1')).length === 0
    await until(areFinished, 'every job is finished')
    const rows = await world.sql('SELECT executions_count, error FROM good_jobs WHERE id = ANY ($1)', [ids])
    expect(rows).toEqual(ids.map(() => ({ executions_count: 1, error: null })))
    expect(await world.sql('SELECT FROM good_jobs WHERE error IS NOT NULL OR locked_by_id IS NOT NULL')).toEqual([])
    expect(await world.sql('SELECT FROM good_job_executions WHERE finished_at IS NULL')).toEqual([])
    expect(overlaps).toEqual([])
    await capsule.shutdown()
    expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
    await world.sql('TRUNCATE good_jobs, good_job_executions')
  },
)
