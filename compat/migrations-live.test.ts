import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Adapter, Job } from '../dist/index.js'
import { inTurn } from '../test/support/clean-up.ts'
import { createDatabase, type TestDatabase } from '../test/support/postgres.ts'
import { readTables, readVectorTables } from '../test/support/vector-schema.ts'
import { startNodeWorker } from './node-worker.ts'
import { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { describeWithRuby } from './support/ruby.ts'

/** Only enqueued here. */
class MemberJob extends Job {
  static override jobClass = 'MemberJob'

  override perform(_name: string): void {
    throw new Error('performed by the workers')
  }
}

/**
 * What `rails generate good_job:update` and `rails db:migrate` do in an application that was made with 4.0.3, with the files outside
 * of the repository. Returns how many migrations ran.
 */
const UPDATE = `
  require 'rails/generators'
  require 'tmpdir'
  folder = Dir.mktmpdir
  FileUtils.cp(Dir[File.join(CompatBundle.cache, 'good_job-4.0.3/migrate/*.rb')], folder)
  Rails.application.config.paths['db/migrate'].unshift(folder)
  Rails::Generators.invoke('good_job:update', ['--quiet'])
  ActiveRecord::MigrationContext.new([folder]).migrate.size`

const ENQUEUE = `ActiveJob.perform_all_later(args[:names].map { |name| MemberJob.new(name) }); nil`

/** docs/operations.md says: within a minute. */
const LEARNS_WITHIN_MS = 60_000

/** Jobs of each side in one go, and how many may be open before the next. */
const PAGE = 10
const BACKLOG = 100

describeWithRuby('the update migrations of GoodJob 4.23.1 on the tables of 4.0.3', () => {
  let database: TestDatabase
  let before: RailsApp
  let after: RailsApp
  let adapter: Adapter

  beforeAll(async () => {
    database = await createDatabase({ template: 'empty' })
    before = await RailsApp.boot({ databaseUrl: database.url, goodJobVersion: '4.0.3' })
    after = await RailsApp.boot({ databaseUrl: database.url, schema: 'given' })
    adapter = new Adapter({ databaseUrl: database.url })
    Job.queueAdapter = adapter
  })

  afterAll(
    inTurn(
      () => adapter.close(),
      () => after.stop(),
      () => before.stop(),
      () => database.drop(),
    ),
  )

  const count = async (condition: string): Promise<number> =>
    (await after.pool.query<{ jobs: number }>(`SELECT count(*)::integer AS jobs FROM good_jobs WHERE ${condition}`))
      .rows[0]?.jobs ?? 0

  /** Enqueues from both sides until `isOver`; returns the names. */
  const load = async (isOver: () => boolean): Promise<string[]> => {
    const names: string[] = []
    const more = () => {
      const page = Array.from({ length: PAGE }, (_, index) => `live ${names.length + index}`)
      names.push(...page)
      return page
    }
    while (!isOver()) {
      await eventually('there is room', async () => (await count('finished_at IS NULL')) < BACKLOG)
      await before.run(ENQUEUE, { names: more() })
      await adapter.enqueueAll(more().map((name) => new MemberJob(name)))
    }
    return names
  }

  test('lose no job and interrupt no attempt of Node while workers of both sides and versions run', async () => {
    const queues = 'default'
    await before.startWorker({ queues })
    await after.startWorker({ queues, env: { GOOD_JOB_LOCK_STRATEGY: 'skiplocked' } })
    const node = await startNodeWorker(after, { queues, jobs: 'shared' })
    let isMigrated = false
    let jobsAfter = 0
    const loading = load(() => isMigrated && jobsAfter++ > 20)
    await eventually('a hundred jobs have ended', async () => (await count('finished_at IS NOT NULL')) >= 100)
    expect(await after.run<number>(UPDATE)).toBe(21)
    isMigrated = true
    const names = await loading
    await eventually('every job has ended', async () => (await count('finished_at IS NULL')) === 0)
    expect(await count('error IS NOT NULL')).toBe(0)
    expect(await count('true')).toBe(names.length)

    const performed = await after.events('performed')
    expect(new Set(performed.map(({ payload }) => payload.name))).toEqual(new Set(names))
    const bySide = (side: string) => performed.filter(({ payload }) => payload.side === side)
    expect(bySide('node').length).toBeGreaterThan(PAGE)
    expect(bySide('ruby').length).toBeGreaterThan(PAGE)
    // Jobs that Node performed ran nowhere else.
    const times = (name: unknown) => performed.filter(({ payload }) => payload.name === name).length
    expect(bySide('node').filter(({ payload }) => times(payload.name) !== 1)).toEqual([])
    const { rows: open } = await after.pool.query(
      'SELECT error_event, finished_at FROM good_job_executions WHERE process_id = $1 AND (finished_at IS NULL OR error IS NOT NULL)',
      [node.processId],
    )
    expect(open).toEqual([])
    expect(node.program.words()).not.toMatch(/"event":"(outcome_lost|outcome_write_failed|worker_error|lane_lost)"/)
  })

  test('create the tables of 4.23.1, and Node uses the new columns without a restart', async () => {
    const tables = await readTables(await database.connect())
    const goodJob = Object.fromEntries(Object.entries(tables).filter(([name]) => name.startsWith('good_job')))
    expect(goodJob).toEqual(readVectorTables('4.23.1'))
    // Ruby workers learn of the column when they start again.
    await eventually(
      'a job carries the lock type of Node',
      async () => {
        const name = `gated ${randomUUID()}`
        const gate = await shutGate(database.url, name)
        await adapter.enqueueAll([new MemberJob(name)])
        await eventually('it waits at its gate', async () => (await gate.waiters()) === 1)
        const jobs = await count('lock_type = 2')
        await gate.release()
        return jobs === 1
      },
      LEARNS_WITHIN_MS,
    )
  })
})
