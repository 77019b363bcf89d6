import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { throwAbort } from '../../src/job/callbacks.ts'
import type { CronEntryOptions } from '../../src/schedule/options.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, jobClass, openWorld, type Row, record } from '../support/harness.ts'
import { instantsOf, Scene } from './scene.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_settings'))

const ReportJob = jobClass('ReportJob', () => undefined)
const minutely = (more: Partial<CronEntryOptions> = {}) => ({ a: { cron: '* * * * *', class: ReportJob, ...more } })
const rowsOf = (key: string) => world.sql<Row>('SELECT * FROM good_jobs WHERE cron_key = $1 ORDER BY cron_at', [key])
const store = (key: string, value: unknown) =>
  world.sql('INSERT INTO good_job_settings (key, value, created_at, updated_at) VALUES ($1, $2, now(), now())', [
    key,
    JSON.stringify(value),
  ])

test('an occurrence is one row with key, nominal instant and GoodJob’s other columns [GJ-120, GJ-122]', async () => {
  const set = { queue: 'reports', priority: 7, labels: ['nightly'] }
  await using scene = new Scene(world, minutely({ args: [1, 'two'], kwargs: { width: 3 }, set })).start()
  await scene.reach('2026-06-01T12:01:00.005Z', 'a enqueued 12:01:00')
  const [row] = await rowsOf('a')
  expect(row).toMatchObject({
    job_class: 'ReportJob',
    queue_name: 'reports',
    priority: 7,
    labels: ['nightly'],
    cron_at: new Date('2026-06-01T12:01:00Z'),
    scheduled_at: new Date('2026-06-01T12:01:00.005Z'),
    batch_id: null,
  })
  expect(row?.serialized_params).toMatchObject({
    arguments: [1, 'two', { width: 3, _aj_ruby2_keywords: ['width'] }],
    locale: 'en',
  })
})

test('wait moves the start of the job, not its occurrence [GJ-122]', async () => {
  await using scene = new Scene(world, minutely({ set: { wait: 3600 } })).start()
  await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
  const [row] = await rowsOf('a')
  expect(row?.cron_at).toEqual(new Date('2026-06-01T12:01:00Z'))
  expect(Number(row?.scheduled_at) - Date.now()).toBeGreaterThan(3_000_000)
})

test('an occurrence is never early: 1 ms before it nothing is enqueued', async () => {
  const entries = { ...minutely(), fence: { cron: '59 * * * * *', class: ReportJob } }
  await using scene = new Scene(world, entries).start()
  await scene.reach('2026-06-01T12:00:59.999Z', 'fence enqueued 12:00:59')
  // Ends when every enqueue that has begun has ended.
  await scene.manager.stop()
  expect(scene.seen).toEqual(['fence enqueued 12:00:59'])
})

test('after a late wake-up the armed occurrence has its nominal instant and those between are skipped [GJ-120]', async () => {
  await using scene = new Scene(world, minutely()).start()
  await scene.reach('2026-06-01T12:04:30Z', 'a missed 12:02:00')
  await scene.reach('2026-06-01T12:05:00Z', 'a enqueued 12:05:00')
  expect(await instantsOf(world, 'a')).toEqual(['2026-06-01T12:01:00Z', '2026-06-01T12:05:00Z'])
})

test('of several managers one enqueues each occurrence; the others skip it without an error', async () => {
  const failed = record('enqueue')
  await using first = new Scene(world, minutely()).start()
  await using second = new Scene(world, minutely()).start()
  for (const scene of [first, second]) await scene.set('2026-06-01T12:01:00Z')
  await first.until('a enqueued 12:01:00')
  await first.until('a duplicate 12:01:00')
  failed.stop()
  // The event of the enqueue is emitted once, for the row.
  expect(failed.seen).toMatchObject([{ jobClass: 'ReportJob' }])
  expect(failed.seen[0]).not.toHaveProperty('error')
  expect(await rowsOf('a')).toHaveLength(1)
})

test('a clock that is set back an hour enqueues no occurrence twice and none early', async () => {
  await using scene = new Scene(world, minutely()).start()
  await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
  await scene.set('2026-06-01T11:01:30Z')
  await scene.reach('2026-06-01T11:02:00Z', 'a enqueued 11:02:00')
  await scene.reach('2026-06-01T12:00:30Z', 'a enqueued 11:03:00')
  await scene.reach('2026-06-01T12:01:00Z', 'a duplicate 12:01:00')
  expect(await instantsOf(world, 'a')).not.toContain('2026-06-01T12:02:00Z')
})

test('a clock that was ahead does not silence an entry until that time', async () => {
  await using scene = new Scene(world, minutely()).start()
  await scene.reach('2026-06-02T12:00:30Z', 'a enqueued 12:01:00')
  await scene.set('2026-06-01T12:03:30Z')
  await scene.reach('2026-06-01T12:04:00Z', 'a enqueued 12:04:00')
})

test('the next occurrence is calculated after the enqueue, so a schedule that throws loses none [GJ-119]', async () => {
  let calls = 0
  const cron = () => {
    calls += 1
    if (calls === 2) throw new Error('no schedule today')
    return '* * * * *'
  }
  await using scene = new Scene(world, minutely({ cron })).start()
  await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
  await scene.until('a failed cron')
  scene.manager.wake()
  await scene.reach('2026-06-01T12:02:00Z', 'a enqueued 12:02:00')
})

test('the key belongs to the one job: a job that its callback enqueues has none, and does not take its place [GJ-123]', async () => {
  const SideJob = jobClass('SideJob', () => undefined)
  const MainJob = jobClass(
    'MainJob',
    () => undefined,
    (made) => made.beforeEnqueue(() => enqueue(SideJob)),
  )
  await using scene = new Scene(world, minutely({ class: MainJob })).start()
  await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
  expect(
    await world.sql('SELECT job_class, cron_key, cron_at IS NULL AS free FROM good_jobs ORDER BY job_class'),
  ).toEqual([
    { job_class: 'MainJob', cron_key: 'a', free: false },
    { job_class: 'SideJob', cron_key: null, free: true },
  ])
})

test('callbacks and concurrency rules may refuse a job', async () => {
  const Refused = jobClass(
    'Refused',
    () => undefined,
    (made) => made.beforeEnqueue(() => throwAbort()),
  )
  const Limited = jobClass(
    'Limited',
    () => undefined,
    (made) => made.controlConcurrencyWith({ key: 'one', totalLimit: 1 }),
  )
  const entries = { a: { cron: '* * * * *', class: Refused }, b: { cron: '* * * * *', class: Limited } }
  await using scene = new Scene(world, entries).start()
  await scene.set('2026-06-01T12:01:00Z')
  await scene.until('a aborted 12:01:00')
  await scene.until('b enqueued 12:01:00')
  await scene.reach('2026-06-01T12:02:00Z', 'b concurrency 12:02:00')
})

describe('settings', () => {
  test('are read at each occurrence: each default has its own list of exceptions', async () => {
    await store('cron_keys_disabled', ['off', 'rare'])
    await store('cron_keys_enabled', ['rare', 'odd'])
    const cron = '* * * * *'
    const entries = {
      on: { cron, class: ReportJob },
      off: { cron, class: ReportJob },
      rare: { cron, class: ReportJob, enabledByDefault: false },
      never: { cron, class: ReportJob, enabledByDefault: () => undefined },
    }
    await using scene = new Scene(world, entries).start()
    await scene.set('2026-06-01T12:01:00Z')
    for (const line of ['on enqueued', 'off disabled', 'rare enqueued', 'never disabled'])
      await scene.until(`${line} 12:01:00`)
    await scene.adapter.cron.enable('off')
    await scene.adapter.cron.disable('on')
    await scene.set('2026-06-01T12:02:00Z')
    for (const line of ['on disabled', 'off enqueued']) await scene.until(`${line} 12:02:00`)
  })

  test.each([5, null, { a: 1 }, 'a', [1, null, ['a']]])(
    'with the value %j stop no entry and are reported once',
    async (value) => {
      await store('cron_keys_disabled', value)
      await using scene = new Scene(world, minutely()).start()
      await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
      await scene.reach('2026-06-01T12:02:00Z', 'a enqueued 12:02:00')
      const reports = scene.seen.filter((line) => line.includes('failed settings'))
      expect(reports).toEqual(Array.isArray(value) ? [] : ['a failed settings 12:01:00'])
    },
  )
})

describe('without Postgres', () => {
  test('an occurrence is tried again until Postgres responds, and has its nominal instant', async () => {
    await using network = await FaultyNetwork.start(world.url)
    await using scene = new Scene(world, minutely(), { databaseUrl: network.url }).start()
    network.refuse()
    await scene.reach('2026-06-01T12:01:00Z', 'a failed settings 12:01:00')
    scene.clock.set('2026-06-01T12:01:20Z')
    await network.accept()
    await scene.until('a enqueued 12:01:00')
  })

  test('an occurrence is skipped when the next one is due', async () => {
    await using network = await FaultyNetwork.start(world.url)
    await using scene = new Scene(world, minutely(), { databaseUrl: network.url }).start()
    network.refuse()
    await scene.reach('2026-06-01T12:01:00Z', 'a failed settings 12:01:00')
    await scene.set('2026-06-01T12:02:00Z')
    await scene.until('a failed settings 12:02:00')
    await network.accept()
    await scene.until('a enqueued 12:02:00')
    expect(await instantsOf(world, 'a')).toEqual(['2026-06-01T12:02:00Z'])
  })

  test('an error that the next attempt would meet again skips the occurrence', async () => {
    await using scene = new Scene(world, minutely()).start()
    await world.sql('ALTER TABLE good_job_settings RENAME TO good_job_settings_away')
    await scene.reach('2026-06-01T12:01:00Z', 'a failed settings 12:01:00')
    await world.sql('ALTER TABLE good_job_settings_away RENAME TO good_job_settings')
    await scene.reach('2026-06-01T12:02:00Z', 'a enqueued 12:02:00')
    expect(await instantsOf(world, 'a')).toEqual(['2026-06-01T12:02:00Z'])
  })
})

describe('the graceful restart period', () => {
  const at = '2026-06-01T12:05:30Z'

  test('enqueues what was missed before the start, after the newest instant of the key', async () => {
    await world.insert({ cron_key: 'a', cron_at: '2026-06-01T12:02:00Z' })
    await using scene = new Scene(world, minutely(), { at, gracefulRestartMs: 600_000 }).start()
    await scene.until('a enqueued 12:05:00')
    expect(scene.seen).toEqual(['a enqueued 12:03:00', 'a enqueued 12:04:00', 'a enqueued 12:05:00'])
  })

  test('reaches no further back than its length, and respects the switches', async () => {
    await store('cron_keys_disabled', ['b'])
    const entries = { ...minutely(), b: { cron: '* * * * *', class: ReportJob } }
    await using scene = new Scene(world, entries, { at, gracefulRestartMs: 120_000 }).start()
    await scene.until('a enqueued 12:05:00')
    await scene.until('b disabled 12:05:00')
    expect(await instantsOf(world, 'a')).toEqual(['2026-06-01T12:04:00Z', '2026-06-01T12:05:00Z'])
  })

  test('is off by default', async () => {
    await using scene = new Scene(world, minutely(), { at }).start()
    await scene.reach('2026-06-01T12:06:00Z', 'a enqueued 12:06:00')
    expect(scene.seen).toEqual(['a enqueued 12:06:00'])
  })
})
