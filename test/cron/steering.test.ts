import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { CronEntryNotFoundError } from '../../src/errors.ts'
import { jobClass, openWorld, type Row } from '../support/harness.ts'
import { Scene } from './scene.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_settings'))

const ReportJob = jobClass('ReportJob', () => undefined)
const entries = {
  report: { cron: '0 6 * * *', class: ReportJob, description: 'Daily' },
  rare: { cron: '0 0 1 1 *', class: 'Ruby::RareJob', enabledByDefault: false },
  odd: { cron: () => new Date('2026-06-02T00:00:00Z'), class: () => ReportJob },
  broken: { cron: () => 'whenever', class: ReportJob },
}
const settings = async (): Promise<Record<string, unknown>> => {
  const rows = await world.sql<Row>('SELECT key, value FROM good_job_settings ORDER BY key')
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]))
}
const store = (key: string, value: unknown) =>
  world.sql('INSERT INTO good_job_settings (key, value, created_at, updated_at) VALUES ($1, $2, now(), now())', [
    key,
    JSON.stringify(value),
  ])

describe('list', () => {
  test('has the next three instants, the last run with its outcome, and who enabled the entry', async () => {
    await using scene = new Scene(world, entries)
    const { cron } = scene.adapter
    await world.insert({ cron_key: 'report', cron_at: '2026-05-31T06:00:00Z' })
    const last = await world.insert({
      cron_key: 'report',
      cron_at: '2026-06-01T06:00:00Z',
      performed_at: '2026-06-01T06:00:00Z',
      finished_at: '2026-06-01T06:00:01Z',
      error: 'Oops: no',
    })
    await cron.disable('report')
    await cron.enable('rare')
    const [report, rare, odd, broken] = await cron.list()
    expect(report).toEqual({
      key: 'report',
      description: 'Daily',
      jobClass: 'ReportJob',
      cron: '0 6 * * *',
      zone: 'UTC',
      next: ['2026-06-02T06:00:00Z', '2026-06-03T06:00:00Z', '2026-06-04T06:00:00Z'].map((at) => new Date(at)),
      scheduleError: null,
      isEnabled: false,
      enabledBy: 'switch',
      lastRun: { jobId: last, cronAt: new Date('2026-06-01T06:00:00Z'), state: 'discarded', error: 'Oops: no' },
    })
    expect(rare).toMatchObject({ jobClass: 'Ruby::RareJob', isEnabled: true, enabledBy: 'switch', lastRun: null })
    expect(odd).toMatchObject({
      jobClass: null,
      cron: null,
      next: [new Date('2026-06-02T00:00:00Z')],
      isEnabled: true,
      enabledBy: 'default',
    })
    expect(broken).toMatchObject({ next: [], scheduleError: expect.stringContaining('whenever') })
  })

  test('shows a run without cron_at, which older versions wrote', async () => {
    await using scene = new Scene(world, entries)
    await world.insert({ cron_key: 'report', created_at: '2026-05-31T06:00:00Z' })
    const [report] = await scene.adapter.cron.list()
    expect(report?.lastRun?.cronAt).toEqual(new Date('2026-05-31T06:00:00Z'))
  })
})

describe('run', () => {
  test('enqueues now, also a disabled entry, with the current time in microseconds as cron_at', async () => {
    await using scene = new Scene(world, entries)
    const { cron } = scene.adapter
    await cron.disable('report')
    const job = await cron.run('report')
    if (job === false) throw new Error('not enqueued')
    expect(scene.seen).toEqual(['report enqueued 12:00:00'])
    const [row] = await world.sql<Row>('SELECT id, cron_at FROM good_jobs')
    expect(row).toEqual({ id: job.jobId, cron_at: new Date('2026-06-01T12:00:00.500Z') })
  })

  test('belongs to the transaction of the caller', async () => {
    await using scene = new Scene(world, entries)
    const client = await world.pool.connect()
    try {
      await client.query('BEGIN')
      expect(await scene.adapter.cron.run('report', { transaction: client })).toBeTruthy()
      await client.query('ROLLBACK')
    } finally {
      client.release()
    }
    expect(await world.sql('SELECT FROM good_jobs')).toEqual([])
  })

  test('belongs to the batch around it', async () => {
    await using scene = new Scene(world, entries)
    const batch = await Batch.enqueue({}, () => scene.adapter.cron.run('report'))
    expect(await world.sql('SELECT batch_id, cron_key FROM good_jobs')).toEqual([
      { batch_id: batch.id, cron_key: 'report' },
    ])
  })

  test('throws what a function of the entry throws', async () => {
    const cron = { a: { cron: '0 6 * * *', class: ReportJob, args: () => Promise.reject(new Error('down')) } }
    await using scene = new Scene(world, cron)
    await expect(scene.adapter.cron.run('a')).rejects.toThrow('down')
  })
})

describe('enable and disable', () => {
  test('keep both lists as the dashboard does, whatever the default is', async () => {
    await using scene = new Scene(world, entries)
    const { cron } = scene.adapter
    await cron.disable('report')
    expect(await settings()).toEqual({ cron_keys_disabled: ['report'] })
    await cron.disable('report')
    await cron.disable('rare')
    await cron.enable('report')
    expect(await settings()).toEqual({ cron_keys_disabled: ['rare'], cron_keys_enabled: ['report'] })
    await cron.disable('report')
    expect(await settings()).toEqual({ cron_keys_disabled: ['rare', 'report'], cron_keys_enabled: [] })
  })

  test('replace a value that is no list', async () => {
    await store('cron_keys_disabled', { a: 1 })
    await store('cron_keys_enabled', 5)
    await using scene = new Scene(world, entries)
    await scene.adapter.cron.disable('report')
    expect(await settings()).toEqual({ cron_keys_disabled: ['report'], cron_keys_enabled: 5 })
    await scene.adapter.cron.enable('report')
    expect(await settings()).toEqual({ cron_keys_disabled: [], cron_keys_enabled: ['report'] })
  })

  test('lose no change of each other, and never wait for each other in a circle', async () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`k${at}`, entries.report]))
    await using scene = new Scene(world, many)
    const { cron } = scene.adapter
    for (const round of [0, 1, 2]) {
      await Promise.all(
        Object.keys(many).map((key, at) => (at % 2 === round % 2 ? cron.enable(key) : cron.disable(key))),
      )
    }
    const { cron_keys_enabled: on, cron_keys_disabled: off } = await settings()
    const sorted = (value: unknown) => [...(value as string[])].sort()
    expect(sorted(on)).toEqual(
      Object.keys(many)
        .filter((_, at) => at % 2 === 0)
        .sort(),
    )
    expect(sorted(off)).toEqual(
      Object.keys(many)
        .filter((_, at) => at % 2 === 1)
        .sort(),
    )
  })

  test('take the keys of other programs, but no key that nobody has used', async () => {
    await using scene = new Scene(world, entries)
    const { cron } = scene.adapter
    await world.insert({ cron_key: 'of_ruby', cron_at: '2026-05-31T06:00:00Z' })
    await cron.disable('of_ruby')
    await expect(cron.disable('raport')).rejects.toThrow(CronEntryNotFoundError)
    await expect(cron.disable('raport')).rejects.toThrow('there is no cron entry "raport": did you mean report?')
    await expect(cron.run('of_ruby')).rejects.toThrow(
      'there is no cron entry "of_ruby": known are report, rare, odd, broken',
    )
    expect(await settings()).toEqual({ cron_keys_disabled: ['of_ruby'] })
  })
})
