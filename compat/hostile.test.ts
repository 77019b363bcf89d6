import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type HostileRow, hostilePayload, hostileRow } from '../test/support/hostile.ts'
import { insertHostile, JOB_COLUMNS } from '../test/support/hostile-tables.ts'
import type { Dashboard } from './dashboard.ts'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const ROWS = Number(process.env.HOSTILE_ROWS ?? 600)
const SEED = Number(process.env.HOSTILE_SEED ?? 20_260_131)
const CLASSES = ['Node::EchoJob', 'Node::FlakyJob', 'Node::DiscardableJob', 'Node::UnhandledJob', 'Node::RetryStopJob']
const INT4_MAX = 2 ** 31 - 1

/** Ruby's JSON nests a hundred deep. */
const IS_DEEP = /(\[|\{"a":){60}/
/** Times and keys that the pages cannot show or link, whichever side wrote them. */
const PAST = '2026-01-31 12:00:00'
const SHOWABLE = {
  scheduled_at: PAST,
  created_at: PAST,
  performed_at: null,
  cron_key: null,
  lock_type: null,
  is_discrete: null,
}

/** Rows that GoodJob's dashboard can show: any other row makes the whole list fail, whichever side wrote it. */
const isShowable = ({ serialized_params }: HostileRow): boolean => {
  const text = serialized_params ?? 'null'
  if (IS_DEEP.test(text)) return false
  const hash: unknown = JSON.parse(text)
  if (typeof hash !== 'object' || hash === null || !('arguments' in hash) || !('executions' in hash)) return false
  const { arguments: given, executions } = hash
  return Array.isArray(given) && Number.isInteger(executions) && Math.abs(executions as number) < INT4_MAX
}

const SELECT_LEFT = `
  SELECT FROM good_jobs
  WHERE queue_name = 'node' AND finished_at IS NULL AND job_class = ANY ($1) AND scheduled_at <= now() AT TIME ZONE 'UTC'
  LIMIT 1`

describeWithRuby('hostile rows that Node has worked', () => {
  let app: RailsApp
  let visitor: Dashboard
  let rows: readonly HostileRow[]

  beforeAll(async () => {
    app = await bootRails()
    rows = fc
      .sample(hostileRow(CLASSES, ['00000000-0000-0000-0000-000000000000']), { numRuns: ROWS * 4, seed: SEED })
      .filter(isShowable)
      .slice(0, ROWS)
      .map((row) => ({ ...row, ...SHOWABLE, active_job_id: row.id, queue_name: 'node' }))
    const [web] = await Promise.all([app.startWeb(), app.startWorker()])
    visitor = web.visit()
    for (let from = 0; from < rows.length; from += 100)
      await insertHostile(app.pool, 'good_jobs', JOB_COLUMNS, rows.slice(from, from + 100))
    await startNodeWorker(app, { threads: 20 })
    await eventually(
      'all have ended',
      async () => (await app.pool.query(SELECT_LEFT, [CLASSES])).rowCount === 0,
      90_000,
    )
  })

  afterAll(() => app.stop())

  test(`each list of the dashboard shows them (seed ${SEED}) [GJ-081]`, async () => {
    const failed: string[] = []
    for (const path of ['/jobs', '/batches', '/performance', '/performance?chart_range=7d', '/cleaner', '/processes'])
      if ((await visitor.open(path)).status !== 200) failed.push(path)
    for (const state of ['discarded', 'succeeded', 'queued', 'scheduled', 'retried', 'running'])
      if ((await visitor.open(`/jobs?state=${state}&limit=1000`)).status !== 200) failed.push(state)
    for (const path of ['/jobs/metrics/primary_nav', '/jobs/metrics/job_status'])
      if ((await visitor.open(path)).status !== 200) failed.push(path)
    expect(failed).toEqual([])
  })

  test('the page of each of them opens [GJ-081]', async () => {
    const { rows: worked } = await app.pool.query<{ id: string }>(
      'SELECT id FROM good_jobs WHERE finished_at IS NOT NULL AND active_job_id = id ORDER BY id LIMIT 60',
    )
    expect(worked.length).toBeGreaterThan(40)
    const failed: string[] = []
    for (const { id } of worked) if ((await visitor.open(`/jobs/${id}`)).status !== 200) failed.push(id)
    const { rows: why } = await app.pool.query(
      'SELECT id, serialized_params::text FROM good_jobs WHERE id = ANY ($1)',
      [failed],
    )
    expect(why.map(({ serialized_params }) => String(serialized_params).slice(0, 500))).toEqual([])
  })

  test('a worker in Ruby still works with these rows and with hostile NOTIFY messages', async () => {
    for (const payload of fc.sample(hostilePayload, { numRuns: 100, seed: SEED }))
      await app.pool.query(`SELECT pg_notify('good_job', $1)`, [payload])
    await app.run(`MemberJob.perform_later('still there'); nil`)
    const done = await eventually('Ruby runs it', async () => {
      const events = await app.events('performed', { name: 'still there' })
      return events.length > 0 && events
    })
    expect(done.map(({ payload }) => payload.side)).toEqual(['ruby'])
  })
})
