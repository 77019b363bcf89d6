import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Capsule, Job } from '../dist/index.js'
import type { Dashboard, MassAction, Page } from './dashboard.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** How long a round stays open: enough to open a page and press a button on a busy machine. */
const ROUND_MS = 4_000

/** Ends when the test says so, or its signal fires. */
class HeldJob extends Job {
  static override jobClass = 'Node::HeldJob'
  static readonly ends = new Map<string, () => void>()

  override async perform(): Promise<void> {
    const { signal } = this
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      HeldJob.ends.set(this.jobId, resolve)
    })
  }
}

const PRESSES = ['force_discard', 'discard', 'reschedule', 'retry', 'destroy'] as const

/** $1 id. As the columns say it, without ids and times. */
const OUTCOME = `
  SELECT job.error, job.error_event, job.finished_at IS NOT NULL AS "isFinished", job.executions_count AS executions,
    job.locked_by_id AS "lockedBy", execution.error AS "executionError", execution.error_event AS "executionEvent",
    execution.finished_at IS NOT NULL AS "executionIsFinished"
  FROM good_jobs AS job LEFT JOIN good_job_executions AS execution ON execution.active_job_id = job.id WHERE job.id = $1`

const WAITS_FOR_JOB = `
  SELECT FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name NOT LIKE 'GoodJob::%'`

describeWithRuby.each(['advisory', 'skiplocked', 'hybrid'])('the dashboard of an application on %s', (strategy) => {
  let app: RailsApp
  let visitor: Dashboard
  let adapter: Adapter

  beforeAll(async () => {
    app = await bootRails()
    visitor = (await app.startWeb({ GOOD_JOB_LOCK_STRATEGY: strategy })).visit()
    adapter = openAdapter(app)
    Job.queueAdapter = adapter
  })

  afterAll(() => app.stop())

  const isStarted = async (id: string): Promise<boolean> => {
    const { rowCount } = await app.pool.query('SELECT FROM good_jobs WHERE id = $1 AND performed_at IS NOT NULL', [id])
    return rowCount === 1
  }

  // The list offers "force discard" only for started jobs: the button of an older page is used.
  const press = async (page: Page, id: string, action: (typeof PRESSES)[number]): Promise<unknown> => {
    if (action === 'force_discard') {
      return app.run(`GoodJob::Job.find(args[:id]).force_discard_job('Force discarded'); nil`, { id })
    }
    const button = ['mass_action', action satisfies MassAction] as const
    const { notice, alert } = await visitor.press(page, {
      action: '/jobs/mass_update',
      button,
      fields: [['job_ids[]', id]],
    })
    return { notice, alert }
  }

  /** The message for a visitor who presses a button while the job runs, and the resulting rows. */
  const pressed = async (state: 'started' | 'open', action: (typeof PRESSES)[number]) => {
    // A new one: after a round that its jobs outlast, a worker starts the next ones at once.
    const capsule = new Capsule({
      databaseUrl: app.databaseUrl,
      jobs: [HeldJob],
      deferStart: state === 'open' ? ROUND_MS : 0,
      shutdownTimeout: 1,
    })
    await capsule.start()
    try {
      return await pressedMeanwhile(state, action)
    } finally {
      await capsule.shutdown()
    }
  }

  const pressedMeanwhile = async (state: 'started' | 'open', action: (typeof PRESSES)[number]) => {
    const job = await HeldJob.performLater()
    if (job === false) throw new Error('refused')
    const id = job.jobId
    const end = await eventually('the job runs', async () => HeldJob.ends.get(id))
    if (state === 'started') await eventually('its start is written', () => isStarted(id))
    const page = await visitor.open(`/jobs?query=${id}`)
    expect(await isStarted(id)).toBe(state === 'started')

    let isAnswered = false
    const answer = press(page, id, action).finally(() => {
      isAnswered = true
    })
    await eventually('the button has done its work, or waits until the job has ended', async () => {
      const { rowCount } = await app.pool.query(WAITS_FOR_JOB)
      return isAnswered || (rowCount === 1 && (await isStarted(id)))
    })
    end()
    const message = await answer
    await eventually('no session holds its lock', async () => {
      const { rows } = await app.pool.query('SELECT finished_at, locked_by_id FROM good_jobs WHERE id = $1', [id])
      return rows.length === 0 || (rows[0].finished_at !== null && rows[0].locked_by_id === null)
    })
    const { rows } = await app.pool.query(OUTCOME, [id])
    return { message, rows }
  }

  test.each(PRESSES)('handles %s on a job whose round is open like on a job whose start is written', async (action) => {
    const started = await pressed('started', action)
    const open = await pressed('open', action)
    expect(open).toEqual(started)
  })
})
