import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Capsule, cleanupPreservedJobs, events, Job } from '../dist/index.js'
import { inTurn } from '../test/support/clean-up.ts'
import type { Dashboard } from './dashboard.ts'
import type { RailsApp, RailsWeb } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** Runs until its signal is aborted, and records the reason. */
class NodePatientJob extends Job {
  static override jobClass = 'Node::LivePatientJob'
  static override queueAs = 'node'
  static heardAt: number | undefined

  override perform(): Promise<never> {
    return new Promise((_, reject) => {
      const hear = () => {
        NodePatientJob.heardAt = performance.now()
        reject(this.signal.reason)
      }
      this.signal.addEventListener('abort', hear, { once: true })
    })
  }
}

class NodePlainJob extends Job {
  static override jobClass = 'Node::LivePlainJob'
  static override queueAs = 'node'

  override perform(): void {}
}

/** Runs after the others and is never paused. */
class NodeLastJob extends Job {
  static override jobClass = 'Node::LiveLastJob'
  static override queueAs = 'last'
  static override priority = 1000

  override perform(): void {}
}

describeWithRuby('operations on a live fleet', () => {
  let app: RailsApp
  let web: RailsWeb
  let visitor: Dashboard
  let adapter: Adapter
  let capsule: Capsule

  beforeAll(async () => {
    app = await bootRails()
    web = await app.startWeb()
    visitor = web.visit()
    adapter = openAdapter(app)
    Job.queueAdapter = adapter
    capsule = new Capsule({
      databaseUrl: app.databaseUrl,
      jobs: [NodePatientJob, NodePlainJob, NodeLastJob],
      queues: 'node,last',
      enablePauses: true,
      pollInterval: 0.5,
      shutdownTimeout: 1,
    })
    await capsule.start()
  })

  afterAll(
    inTurn(
      () => capsule.shutdown(),
      () => app.stop(),
    ),
  )

  const row = async (id: string) =>
    (await app.pool.query<Record<string, unknown>>('SELECT * FROM good_jobs WHERE id = $1', [id])).rows[0]

  const enqueued = async (job: Promise<Job | false>): Promise<string> => {
    const made = await job
    if (made === false) throw new Error('refused')
    return made.jobId
  }

  const untilSucceeded = (id: string) =>
    eventually(`job ${id} succeeded`, async () => {
      const job = await row(id)
      return job?.finished_at != null && job.error === null
    })

  test('the dashboard force-discards a running job: its signal is aborted within two seconds, and the discard stands [GJ-092]', async () => {
    const id = await enqueued(NodePatientJob.performLater())
    await eventually('it runs', async () => capsule.activeJobIds.includes(id))
    expect((await visitor.job(id, 'force_discard')).notice).toMatch(/^Job has been force discarded/)
    const pressedAt = performance.now()
    await eventually('its signal fired', async () => NodePatientJob.heardAt)
    expect((NodePatientJob.heardAt ?? Number.POSITIVE_INFINITY) - pressedAt).toBeLessThan(2_000)
    await eventually('the row is released', async () => (await row(id))?.locked_by_id === null)
    expect(await row(id)).toMatchObject({
      error: 'GoodJob::Job::DiscardJobError: Force discarded through dashboard',
      error_event: 5,
      locked_at: null,
      lock_type: null,
    })
    const { rows } = await app.pool.query('SELECT * FROM good_job_executions WHERE active_job_id = $1', [id])
    expect(rows).toMatchObject([{ error_event: 5, finished_at: expect.any(Date), duration: expect.anything() }])
  })

  test.each([
    ['queue', 'node', {}],
    ['job_class', 'Node::LivePlainJob', {}],
    ['label', 'heavy', { labels: ['heavy'] }],
  ] as const)(
    'a %s that is paused on the dashboard is not claimed until it is unpaused there [GJ-078]',
    async (type, value, options) => {
      await visitor.pause(type, value)
      const id = await enqueued(NodePlainJob.set(options).performLater())
      await untilSucceeded(await enqueued(NodeLastJob.performLater()))
      expect(await row(id)).toMatchObject({ performed_at: null, finished_at: null })
      await visitor.unpause(type, value)
      await untilSucceeded(id)
    },
  )

  test('a pause set by Node is shown and ended on the dashboard, and honoured by a Ruby worker', async () => {
    await app.startWorker({ queues: 'default', pollInterval: 1 })
    await adapter.pause({ jobClass: 'MemberJob' })
    expect((await visitor.open('/pauses')).text).toContain('MemberJob')
    const id = await app.run<string>('MemberJob.perform_later("paused").job_id')
    await app.run('LabelledJob.perform_later("free")')
    await eventually('another class runs', async () => (await app.events('performed', { name: 'free' })).length)
    expect(await row(id)).toMatchObject({ performed_at: null })
    await visitor.unpause('job_class', 'MemberJob')
    await untilSucceeded(id)
  })

  test('cleanups of Ruby and of Node at the same time delete old jobs and do not block each other', async () => {
    const troubles: unknown[] = []
    events.on('worker_error', (event) => troubles.push(event))
    const old = 4_000
    await app.pool.query(
      `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, serialized_params, finished_at, scheduled_at, created_at, updated_at)
       SELECT id, id, 'Old', 'node', '{}', now() - interval '20 days', now(), now(), now()
       FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)) AS old`,
      [old],
    )
    await app.pool.query(
      `INSERT INTO good_job_executions (active_job_id, job_class, created_at, updated_at, finished_at)
       SELECT id, 'Old', now(), now(), now() FROM good_jobs, generate_series(1, 3) WHERE job_class = 'Old'`,
    )
    const ids = await Promise.all(Array.from({ length: 100 }, () => enqueued(NodePlainJob.performLater())))
    const clean = () =>
      cleanupPreservedJobs({
        database: adapter.database,
        clock: adapter.clock,
        olderThanSeconds: 86_400,
        includesDiscarded: true,
      })
    await Promise.all([clean(), app.run('GoodJob.cleanup_preserved_jobs(older_than: 86_400); nil'), clean()])
    for (const id of ids) await untilSucceeded(id)
    const { rows } = await app.pool.query(
      `SELECT (SELECT count(*)::int FROM good_jobs WHERE job_class = 'Old') AS jobs, (SELECT count(*)::int FROM good_job_executions WHERE job_class = 'Old') AS executions`,
    )
    expect(rows).toEqual([{ jobs: 0, executions: 0 }])
    expect(troubles).toEqual([])
  })
})
