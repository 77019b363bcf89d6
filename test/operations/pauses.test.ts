import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { events } from '../../src/events.ts'
import type { StoppingReason } from '../../src/job/pauses.ts'
import type { QueueSelector } from '../../src/sql/claim/candidates.ts'
import { claim } from '../../src/sql/claim/claim.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { findPauses } from '../../src/sql/pauses.ts'
import { inTurn } from '../support/clean-up.ts'
import { runCli, runJson } from '../support/cli.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, type World } from '../support/harness.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterEach(
  inTurn(
    () => world.sql('DELETE FROM good_job_settings'),
    () => world.sql('DELETE FROM good_jobs'),
  ),
)
afterAll(() => world.close())

const Plain = jobClass('Plain', () => undefined)
const Other = jobClass('Other', () => undefined)

/** A value as GoodJob's dashboard stores it. */
const store = (value: unknown) =>
  world.sql(
    `INSERT INTO good_job_settings (key, value, created_at, updated_at) VALUES ('pauses', $1, now(), now())
     ON CONFLICT (key) DO UPDATE SET value = excluded.value`,
    [JSON.stringify(value)],
  )

/** Those of these jobs that are performed before a job that is never paused and runs last. */
const performedBeforeLast = async (): Promise<string[]> => {
  const seen: string[] = []
  const listener = ({ jobId }: { jobId: string }) => void seen.push(jobId)
  events.on('perform_job', listener)
  const done = next('perform_job', 1, ({ queueName }) => queueName === 'last')
  await enqueue(Other, { queue: 'last', priority: 1000 })
  await done
  events.off('perform_job', listener)
  return seen.slice(0, -1)
}

test.each([
  ['queue', { queue: 'slow' }, { queue: 'slow' }],
  ['job class', { jobClass: 'Plain' }, {}],
  ['label', { label: 'big' }, { labels: ['small', 'big'] }],
] as const)(
  'a paused %s is not claimed until the pause ends if the worker honours pauses [GJ-078]',
  async (_what, target, options) => {
    await world.adapter.pause(target)
    await using _worker = await world.start({ jobs: [Plain, Other], enablePauses: true, pollInterval: 0.2, threads: 1 })
    const pausedId = await enqueue(Plain, { ...options })
    const freeId = await enqueue(Other)
    expect(await performedBeforeLast()).toEqual([freeId])
    expect(await world.job(pausedId)).toMatchObject({ performed_at: null, locked_by_id: null })
    const done = performed(pausedId)
    expect(await world.adapter.unpause(target)).toBe(true)
    await done
  },
)

test('a worker without enablePauses ignores pauses, and pauses do not stop running jobs [GJ-078]', async () => {
  const gate = new Gate()
  const Long = jobClass('Long', (job) => gate.pass(job))
  await using _ignores = await world.start({ jobs: [Plain, Other], threads: 1 })
  await using _honours = await world.start({ jobs: [Long], enablePauses: true })
  const longId = await enqueue(Long)
  await gate.entered
  await world.adapter.pause({ jobClass: 'Long' })
  await world.adapter.pause({ queue: 'default' })
  const id = await enqueue(Plain)
  expect(await performedBeforeLast()).toEqual([id])
  const done = performed(longId)
  gate.open()
  await done
})

test.each([
  [null],
  [[]],
  ['text'],
  [{ queues: null }],
  [{ queues: 'slow', job_classes: 7, labels: { a: 1 } }],
  [{ queues: [null, 7, {}] }],
])('an invalid stored value, %j, stops no claim and is replaced by the next pause [GJ-079]', async (value) => {
  await store(value)
  await using _worker = await world.start({ jobs: [Plain, Other], enablePauses: true })
  const done = next('perform_job')
  await enqueue(Plain)
  await done
  await world.adapter.pause({ label: 'x' })
  const [row] = await world.sql<{ value: Record<string, unknown> }>('SELECT value FROM good_job_settings')
  expect(row?.value).toEqual({ queues: expect.any(Array), job_classes: expect.any(Array), labels: ['x'] })
})

test('pauses that are set at the same time are each stored once', async () => {
  const names = Array.from({ length: 20 }, (_, index) => `queue${index}`)
  await Promise.all([...names, ...names].map((queue) => world.adapter.pause({ queue })))
  expect([...(await world.adapter.paused()).queues].sort()).toEqual([...names].sort())
  await Promise.all(names.slice(1).map((queue) => world.adapter.unpause({ queue })))
  expect(await world.adapter.paused()).toEqual({ queues: ['queue0'], jobClasses: [], labels: [] })
  expect(await world.adapter.unpause({ queue: 'queue1' })).toBe(false)
  await expect(world.adapter.pause({ queue: 'a', label: 'b' })).rejects.toThrow(/exactly one/)
})

test('a job can read why it should end early [GJ-110]', async () => {
  const heard: (StoppingReason | false)[] = []
  const gate = new Gate()
  const Asking = jobClass('Asking', async (job) => {
    const ask = async () => heard.push(await job.stoppingReason())
    await ask()
    for (const target of [{ label: 'big' }, { jobClass: 'Asking' }, { queue: 'default' }]) {
      await world.adapter.pause(target)
      await ask()
    }
    void gate.pass(job)
    await new Promise((resolve) => job.signal.addEventListener('abort', resolve, { once: true }))
    await ask()
  })
  await using _worker = await world.start({ jobs: [Asking], enablePauses: true })
  const id = await enqueue(Asking, { labels: ['big'] })
  await gate.entered
  const dropped = next('outcome_lost')
  await world.adapter.forceDiscardJob(id)
  await dropped
  expect(heard).toEqual([false, 'label_paused', 'job_class_paused', 'queue_name_paused', 'force_discarded'])
})

/** How Postgres runs a claim of five jobs of Plain and Other. */
const planOfClaim = async (selector: QueueSelector): Promise<string> => {
  let plan = ''
  const explaining = {
    query: async ({ text, values }: { text: string; values?: unknown[] }) => {
      const { rows } = await world.pool.query(`EXPLAIN (ANALYZE, TIMING OFF) ${text}`, values)
      plan = rows.map((row) => row['QUERY PLAN']).join('\n')
      return { rows: [] }
    },
  }
  const now = new Date().toISOString()
  await claim(explaining as unknown as Queryable, await world.adapter.database.facts(), {
    selector,
    jobClasses: ['Plain', 'Other'],
    sort: 'created_at',
    honoursPauses: true,
    selectLimit: 1000,
    limit: 5,
    processId: '01234567-89ab-cdef-0123-456789abcdef',
    now,
    dueUntil: now,
    runningIds: [],
    releaseKeys: [],
  })
  return plan
}

const SLOW: QueueSelector = { kind: 'include', queues: ['slow'], isOrdered: false }

test('the claim of a pool whose only queue or all classes are paused reads no job', async () => {
  for (let count = 0; count < 3; count++) await enqueue(Plain, { queue: 'slow' })
  await world.adapter.pause({ queue: 'slow' })
  expect(await planOfClaim(SLOW)).toMatch(/Scan.* on good_jobs .*never executed/)
  await world.adapter.unpause({ queue: 'slow' })
  for (const name of ['Plain', 'Other']) await world.adapter.pause({ jobClass: name })
  expect(await planOfClaim(SLOW)).toMatch(/Scan.* on good_jobs .*never executed/)
  expect(await findPauses(world.pool)).toMatchObject({ jobClasses: ['Plain', 'Other'] })
})

test('a claim that honours pauses reads a few jobs in order, not the whole backlog', async () => {
  await world.sql(
    `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT id, id, (ARRAY['Plain', 'Other'])[1 + n % 2], 'slow', 0, '{}', now() - interval '1 day', now() - n * interval '1 s', now()
     FROM (SELECT gen_random_uuid() AS id, n FROM generate_series(1, 10000) AS n) AS waiting`,
  )
  await world.sql('VACUUM ANALYZE good_jobs')
  for (const selector of [SLOW, { kind: 'all' }] as const) {
    const read = /on good_jobs +\(cost.*actual rows=(\d+)/.exec(await planOfClaim(selector))?.[1]
    expect(Number(read)).toBeLessThan(50)
  }
})

test('the pause commands of good-job pause, show and unpause', async () => {
  const env = { DATABASE_URL: world.url }
  expect(await runCli(['pauses'], { env })).toMatchObject({ code: 0, stdout: 'Nothing is paused.\n' })
  await using _capsule = await world.start({ jobs: [Plain], enablePauses: true })
  await runCli(['pause', '--queue', 'slow'], { env })
  expect((await runCli(['pause', '--label', 'big'], { env })).stdout).toBe('queue  slow\nlabel  big\n')
  expect(await runJson(world.url, 'pauses')).toEqual({ queues: ['slow'], job_classes: [], labels: ['big'] })
  expect((await runCli(['unpause', '--class', 'Plain'], { env })).stdout).toMatch(/^That was not paused\.\n/)
  expect((await runCli(['unpause', '--queue', 'slow'], { env })).stdout).toBe('label  big\n')
  expect((await runCli(['pause'], { env })).code).toBe(2)
})
