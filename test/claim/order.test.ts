import { afterAll, beforeEach, expect, test } from 'vitest'
import type { CapsuleOptions } from '../../src/worker/capsule.ts'
import { ago, jobClass, openWorld, performed, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('DELETE FROM good_jobs'))

const order: string[] = []
const EchoJob = jobClass('EchoJob', (job) => order.push(job.jobId))

/** Runs all jobs in the table, one at a time; returns their names in the order in which they ran. */
const runAll = async (names: Record<string, string>, options: Partial<CapsuleOptions> = {}): Promise<string[]> => {
  order.length = 0
  const done = performed(...Object.values(names))
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 1, ...options })
  await done
  const nameOf = new Map(Object.entries(names).map(([name, id]) => [id, name]))
  return order.map((id) => nameOf.get(id) ?? id)
}

test('jobs run by priority, those without a priority last, then by creation [GJ-037]', async () => {
  const names = {
    none: await world.insert({ priority: null, created_at: ago(90) }),
    late: await world.insert({ priority: 0, created_at: ago(10) }),
    early: await world.insert({ priority: 0, created_at: ago(20) }),
    last: await world.insert({ priority: 2_147_483_647, created_at: ago(80) }),
    first: await world.insert({ priority: -2_147_483_648, created_at: ago(5) }),
  }
  expect(await runAll(names)).toEqual(['first', 'early', 'late', 'last', 'none'])
})

test('with the scheduled_at order, jobs of one priority run by scheduled_at and id [GJ-037]', async () => {
  const at = ago(30)
  const names = {
    created: await world.insert({ scheduled_at: ago(5), created_at: ago(90) }),
    scheduled: await world.insert({ scheduled_at: ago(60), created_at: ago(1) }),
    b: await world.insert({ id: '00000000-0000-4000-8000-00000000000b', scheduled_at: at }),
    a: await world.insert({ id: '00000000-0000-4000-8000-00000000000a', scheduled_at: at }),
    urgent: await world.insert({ scheduled_at: ago(1), priority: -1 }),
  }
  expect(await runAll(names, { dequeueQuerySort: 'scheduled_at' })).toEqual([
    'urgent',
    'scheduled',
    'a',
    'b',
    'created',
  ])
})

test('the same order holds within one claim of many jobs [GJ-037]', async () => {
  const names: Record<string, string> = {}
  for (let index = 0; index < 20; index++) {
    const priority = (index * 7) % 20
    names[String(priority).padStart(2, '0')] = await world.insert({ priority })
  }
  expect(await runAll(names, { threads: 20 })).toEqual(Object.keys(names).sort())
})

test('+b,a runs every b before any a, whatever their priority [GJ-038]', async () => {
  const names = {
    a1: await world.insert({ queue_name: 'a', priority: -5, created_at: ago(50) }),
    b2: await world.insert({ queue_name: 'b', priority: 9, created_at: ago(40) }),
    b1: await world.insert({ queue_name: 'b', priority: 1, created_at: ago(30) }),
    a2: await world.insert({ queue_name: 'a', priority: 0, created_at: ago(20) }),
  }
  expect(await runAll(names, { queues: '+b,a' })).toEqual(['b1', 'b2', 'a1', 'a2'])
})

test('b,a without the plus sign mixes the queues by priority [GJ-038]', async () => {
  const names = {
    a1: await world.insert({ queue_name: 'a', priority: -5 }),
    b1: await world.insert({ queue_name: 'b', priority: -9 }),
    a2: await world.insert({ queue_name: 'a', priority: -7 }),
  }
  expect(await runAll(names, { queues: 'b,a' })).toEqual(['b1', 'a2', 'a1'])
})

test.each<[string, string[]]>([
  ['a', ['a']],
  ['a,b', ['a', 'b']],
  ['-a', ['b', 'none']],
  ['-a,b', ['none']],
  ['*', ['a', 'b', 'none']],
  ['+b,*', ['a', 'b', 'none']],
  ['-', ['a', 'b', 'none']],
])(
  'a pool with the queue string %j takes the jobs of its queues only; a job without a queue matches no named queue [GJ-043]',
  async (queues, expected) => {
    const names = {
      a: await world.insert({ queue_name: 'a' }),
      b: await world.insert({ queue_name: 'b' }),
      none: await world.insert({ queue_name: null }),
    }
    const wanted = Object.fromEntries(Object.entries(names).filter(([name]) => expected.includes(name)))
    expect((await runAll(wanted, { queues, threads: 5 })).sort()).toEqual(expected)
    const left = await world.sql<{ id: string }>('SELECT id FROM good_jobs WHERE performed_at IS NULL')
    expect(left).toHaveLength(3 - expected.length)
  },
)

test.each(['+', ','])('a pool with the queue string %j takes no job', async (queues) => {
  const names = { a: await world.insert({ queue_name: 'a' }), empty: await world.insert({ queue_name: '' }) }
  expect((await runAll(names, { queues: `${queues};*` })).sort()).toEqual(['a', 'empty'])
  await using capsule = await world.start({ jobs: [EchoJob], queues })
  const id = await world.insert({ queue_name: 'a' })
  await using other = await world.start({ jobs: [EchoJob], queues: 'b' })
  expect([capsule.state, other.state]).toEqual(['running', 'running'])
  await capsule.shutdown()
  expect(await world.job(id)).toMatchObject({ performed_at: null, locked_by_id: null })
})

test('pools of one worker run side by side, each with its own number of threads', async () => {
  const ids: Record<string, string> = {}
  for (let index = 0; index < 6; index++) ids[`a${index}`] = await world.insert({ queue_name: 'a' })
  for (let index = 0; index < 6; index++) ids[`b${index}`] = await world.insert({ queue_name: 'b' })
  const running = { a: 0, b: 0 }
  const most = { a: 0, b: 0 }
  const Counted = jobClass('EchoJob', async (job) => {
    const queue =
      job.providerJobId &&
      Object.entries(ids)
        .find(([, id]) => id === job.jobId)?.[0]
        .startsWith('a')
        ? 'a'
        : 'b'
    running[queue] += 1
    most[queue] = Math.max(most[queue], running[queue])
    await new Promise(setImmediate)
    running[queue] -= 1
  })
  const done = performed(...Object.values(ids))
  await using _capsule = await world.start({ jobs: [Counted], queues: 'a:2;b:1' })
  await done
  expect(most).toEqual({ a: 2, b: 1 })
})

test('jobs scheduled in the future and jobs without a scheduled_at are not claimed [GJ-039]', async () => {
  const future = await world.insert({ scheduled_at: ago(-3600) })
  const never = await world.insert({ scheduled_at: null })
  const due = await world.insert()
  await runAll({ due })
  for (const id of [future, never])
    expect(await world.job(id)).toMatchObject({ performed_at: null, locked_by_id: null })
})

test('jobs of other classes are neither claimed, failed nor discarded, however many wait in front', async () => {
  await world.sql(
    `INSERT INTO good_jobs (job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
     SELECT CASE WHEN n % 2 = 0 THEN 'Ruby::OnlyJob' END, 'default', -10, '{}', now() - interval '1 day', now(), now()
     FROM generate_series(1, 3000) AS n`,
  )
  const ours = await world.insert({ priority: 5 })
  expect(await runAll({ ours })).toEqual(['ours'])
  const [touched] = await world.sql(
    `SELECT count(*)::int AS n FROM good_jobs WHERE job_class IS DISTINCT FROM 'EchoJob'
     AND (performed_at IS NOT NULL OR locked_by_id IS NOT NULL OR finished_at IS NOT NULL OR error IS NOT NULL)`,
  )
  expect(touched).toEqual({ n: 0 })
})

test('a queueSelectLimit smaller than the number of threads does not starve the threads', async () => {
  const ids: Record<string, string> = {}
  for (let index = 0; index < 10; index++) ids[index] = await world.insert()
  expect(await runAll(ids, { queueSelectLimit: 1, threads: 4 })).toHaveLength(10)
  await until(
    async () => (await world.sql('SELECT id FROM good_jobs WHERE locked_by_id IS NOT NULL')).length === 0,
    'all released',
  )
})
