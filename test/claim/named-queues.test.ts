import fc from 'fast-check'
import { afterAll, beforeEach, expect, test, vi } from 'vitest'
import { findWaitingQueues } from '../../src/sql/claim/waiting-queues.ts'
import { ago, enqueue, jobClass, next, openWorld } from '../support/harness.ts'

// The calls are counted; the function stays the real one.
vi.mock('../../src/sql/claim/waiting-queues.ts', { spy: true })

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_settings'))

const FILL = `
  INSERT INTO good_jobs (job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at, finished_at, locked_by_id)
  SELECT 'EchoJob', queue, '{}', now(), now(), now(), CASE WHEN state = 'finished' THEN now() END,
    CASE WHEN state = 'owned' THEN gen_random_uuid() END
  FROM jsonb_to_recordset($1::jsonb) AS job(queue text, state text)`

test('the queues with unfinished jobs are found whatever their names; no queue is named if some job has none', async () => {
  const name = fc.option(fc.constantFrom('', 'a', 'A', 'b', 'b,c', 'é', '*', '-x', ' '), { nil: null, freq: 20 })
  const job = fc.record({ queue: name, state: fc.constantFrom('waiting', 'waiting', 'finished', 'owned') })
  await fc.assert(
    fc.asyncProperty(fc.array(job, { maxLength: 12 }), async (jobs) => {
      await world.sql('TRUNCATE good_jobs')
      await world.sql(FILL, [JSON.stringify(jobs)])
      const waiting = new Set(jobs.filter(({ state }) => state === 'waiting').map(({ queue }) => queue))
      const found = await findWaitingQueues(world.adapter.database.pool)
      expect(found && new Set(found)).toEqual(waiting.has(null) ? undefined : waiting)
    }),
    { numRuns: 60 },
  )
})

test('a query names at most thirty queues', async () => {
  const jobs = Array.from({ length: 31 }, (_, index) => ({ queue: `queue ${index}`, state: 'waiting' }))
  await world.sql(FILL, [JSON.stringify(jobs)])
  expect(await findWaitingQueues(world.adapter.database.pool)).toBeUndefined()
  await world.sql(`DELETE FROM good_jobs WHERE queue_name = 'queue 7'`)
  expect(await findWaitingQueues(world.adapter.database.pool)).toHaveLength(30)
})

/** So many jobs that a query at the head, which skips them, is expensive. */
const NOISE = 60_000
const FILL_NOISE = `
  INSERT INTO good_jobs (job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
  SELECT 'EchoJob', 'noise', 0, '{}', $1::timestamptz, $1::timestamptz, now() FROM generate_series(1, ${NOISE})`

test.each<[string, string, () => Promise<void>]>([
  ['excluded', '-noise', async () => {}],
  ['paused', '*', () => world.adapter.pause({ queue: 'noise' })],
])(
  'jobs behind a queue that is %s start in the usual order, also jobs of a new queue',
  async (_what, queues, prepare) => {
    await prepare()
    await world.sql(FILL_NOISE, [ago(600)])
    const ids: string[] = []
    for (let index = 0; index < 12; index++) {
      ids.push(await world.insert({ queue_name: index % 3 === 0 ? 'a' : 'b', created_at: ago(60 - index) }))
    }
    const order: string[] = []
    const late: string[] = []
    vi.mocked(findWaitingQueues).mockClear()
    const areNamed = () => vi.mocked(findWaitingQueues).mock.calls.length > 0
    const done = next('perform_job', 1, () => areNamed() && order.length === ids.length + late.length)
    // There are twelve more jobs to start, always, until the queues are named.
    const EchoJob = jobClass('EchoJob', async (job) => {
      order.push(job.jobId)
      if (order.length === 4) late.push(await enqueue(EchoJob, { queue: 'new', priority: -1 }))
      if (!areNamed()) ids.push(await enqueue(EchoJob, { queue: 'a' }))
    })
    await using _capsule = await world.start({ jobs: [EchoJob], queues, threads: 1, enablePauses: true })
    await done
    expect(order.filter((id) => !late.includes(id))).toEqual(ids)
    expect(order).toContain(late[0])
    const [left] = await world.sql(
      `SELECT count(*)::int AS noise FROM good_jobs WHERE queue_name = 'noise' AND finished_at IS NULL`,
    )
    expect(left).toEqual({ noise: NOISE })
  },
)
