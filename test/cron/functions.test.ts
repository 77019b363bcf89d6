import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import type { CronEntryOptions } from '../../src/schedule/options.ts'
import { jobClass, openWorld, type Row, record } from '../support/harness.ts'
import { instantsOf, Scene } from './scene.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_settings'))

const ReportJob = jobClass('ReportJob', () => undefined)
const minutely = (more: Partial<CronEntryOptions> = {}) => ({ a: { cron: '* * * * *', class: ReportJob, ...more } })
const rowsOf = (key: string) => world.sql<Row>('SELECT * FROM good_jobs WHERE cron_key = $1 ORDER BY cron_at', [key])

describe('a schedule function [GJ-121]', () => {
  test('gets the newest instant of the table, then the instants that were handled; past ones are made up at once', async () => {
    const old = new Date('2026-06-01T11:58:00Z')
    await world.insert({ cron_key: 'a', cron_at: old.toISOString() })
    const seen: (string | undefined)[] = []
    const cron = (previous: Date | undefined) => {
      seen.push(previous?.toISOString().slice(11, 19))
      return new Date((previous ?? old).getTime() + 60_000)
    }
    await using scene = new Scene(world, minutely({ cron }), { at: '2026-06-01T12:00:30Z' }).start()
    await scene.until('a enqueued 12:00:00')
    await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
    await scene.manager.stop()
    expect(seen.slice(0, 4)).toEqual(['11:58:00', '11:59:00', '12:00:00', '12:01:00'])
    expect(await instantsOf(world, 'a')).toHaveLength(4)
  })

  test('that returns null ends the entry', async () => {
    await using scene = new Scene(world, minutely({ cron: () => null })).start()
    await scene.until('a ended')
  })

  test('that does not move on is called again later, not in a busy loop', async () => {
    const at = new Date('2026-06-01T11:00:00Z')
    await using scene = new Scene(world, minutely({ cron: () => at })).start()
    await scene.until('a failed cron')
    expect(scene.seen).toEqual(['a enqueued 11:00:00', 'a failed cron'])
  })

  test.each([
    ['a number', () => 5 as never],
    ['a text that is no schedule', () => 'whenever'],
    ['an invalid Date', () => new Date(Number.NaN)],
  ])('that returns %s is reported, and called again', async (_what, bad) => {
    let calls = 0
    const cron = () => (++calls === 1 ? bad() : '* * * * *')
    await using scene = new Scene(world, minutely({ cron })).start()
    await scene.until('a failed cron')
    scene.manager.wake()
    await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
  })
})

describe('functions of an entry [GJ-122]', () => {
  test('are called at each occurrence', async () => {
    let calls = 0
    const entry = { args: () => [++calls], kwargs: async () => ({ run: calls }), set: () => ({ queue: `q${calls}` }) }
    await using scene = new Scene(world, minutely({ ...entry, class: () => ReportJob })).start()
    await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
    await scene.reach('2026-06-01T12:02:00Z', 'a enqueued 12:02:00')
    const rows = await rowsOf('a')
    expect(rows.map(({ serialized_params: params }) => (params as { arguments: unknown[] }).arguments)).toEqual([
      [1, { run: 1, _aj_ruby2_keywords: ['run'] }],
      [2, { run: 2, _aj_ruby2_keywords: ['run'] }],
    ])
  })

  test('a single argument becomes a list, no keyword arguments are left out, and a class may be a name', async () => {
    const entry = { args: () => 5, kwargs: () => null, class: () => 'Media::ThumbnailJob' }
    await using scene = new Scene(world, minutely(entry)).start()
    await scene.reach('2026-06-01T12:01:00Z', 'a enqueued 12:01:00')
    expect(await rowsOf('a')).toMatchObject([
      { job_class: 'Media::ThumbnailJob', queue_name: 'default', serialized_params: { arguments: [5] } },
    ])
  })

  test('a class function that returns nothing enqueues nothing, and may do its own work', async () => {
    await using scene = new Scene(world, minutely({ class: () => null })).start()
    await scene.reach('2026-06-01T12:01:00Z', 'a no_class 12:01:00')
  })

  const down = () => Promise.reject(new Error('down'))

  test.each<[string, string, Partial<CronEntryOptions>]>([
    ['class', 'failed class', { class: () => 'no such class' }],
    ['args, not storable', 'failed enqueue', { args: () => [Symbol('x')] }],
    ['args', 'failed args', { args: down }],
    ['kwargs', 'failed kwargs', { kwargs: down }],
    ['set', 'failed set', { set: () => ({ qeue: 'x' }) as never }],
    ['enabledByDefault', 'failed enabledByDefault', { enabledByDefault: down }],
  ])('an error of %s skips the occurrence, is reported, and ends nothing', async (_what, line, broken) => {
    const failed = record('cron_failed')
    const entries = { ...minutely(broken), b: { cron: '* * * * *', class: ReportJob } }
    await using scene = new Scene(world, entries).start()
    await scene.reach('2026-06-01T12:01:00Z', `a ${line} 12:01:00`)
    await scene.until('b enqueued 12:01:00')
    await scene.reach('2026-06-01T12:02:00Z', `a ${line} 12:02:00`)
    failed.stop()
    expect(failed.seen[0]).toMatchObject({ key: 'a', willRetry: false, error: expect.any(Error) })
    expect(await instantsOf(world, 'a')).toEqual([])
  })
})
