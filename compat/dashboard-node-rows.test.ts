import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Batch, Job } from '../dist/index.js'
import type { Dashboard } from './dashboard.ts'
import { NodeMemberJob, NodePatientJob, UnknownToRubyJob } from './node-only-jobs.ts'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** $1 job */
const SELECT_JOB = `
  SELECT error, finished_at IS NOT NULL AS "isFinished", serialized_params->'arguments' AS arguments,
    (SELECT count(*)::integer FROM good_job_executions WHERE active_job_id = good_jobs.id) AS executions
  FROM good_jobs WHERE id = $1`

const SELECT_INCOMPLETE_EXECUTIONS =
  'SELECT id FROM good_job_executions WHERE job_class IS NULL OR scheduled_at IS NULL'

describeWithRuby('the dashboard over rows that only Node has written', () => {
  let app: RailsApp
  let adapter: Adapter
  let visitor: Dashboard

  beforeAll(async () => {
    app = await bootRails()
    adapter = openAdapter(app)
    Job.queueAdapter = adapter
    const [web] = await Promise.all([app.startWeb(), startNodeWorker(app)])
    visitor = web.visit()
  })

  afterAll(() => app.stop())

  const row = async (id: string) => (await app.pool.query(SELECT_JOB, [id])).rows[0]

  const untilRow = (id: string, wanted: Record<string, unknown>) =>
    eventually(`job ${id} is ${JSON.stringify(wanted)}`, async () => {
      expect(await row(id)).toMatchObject(wanted)
      return true
    })

  const enqueue = async (
    jobClass: typeof NodeMemberJob | typeof UnknownToRubyJob,
    name: string,
    { wait, fails = 0 }: { wait?: number; fails?: number } = {},
  ): Promise<string> => {
    if (fails > 0) await app.letFail(name, fails)
    const job = await jobClass.set({ wait }).performLater(name)
    if (job === false) throw new Error('refused')
    return job.jobId
  }

  test('every page opens: lists of each state, jobs, executions, batches, performance of each range, cleaner [GJ-081, GJ-113]', async () => {
    const failed = await enqueue(NodeMemberJob, 'fails for good', { fails: 1 })
    const waiting = await enqueue(NodeMemberJob, 'scheduled', { wait: 3600 })
    const batch = await Batch.enqueue({ onFinish: 'Node::BatchCallbackJob', description: 'of Node' }, async () => {
      await NodeMemberJob.performLater('in a batch')
      await UnknownToRubyJob.performLater('in a batch, too')
    })
    const retried = await NodePatientJob.performLater()
    await untilRow(failed, { isFinished: true })
    await untilRow(retried ? retried.jobId : '', { executions: 1, error: expect.stringContaining('NotYet') })
    await eventually('the batch is finished', async () => (await batch.reload()).isFinished)
    for (const state of ['scheduled', 'retried', 'queued', 'running', 'succeeded', 'discarded']) {
      const page = await visitor.open(`/jobs?state=${state}`)
      expect([state, page.status]).toEqual([state, 200])
    }
    expect((await visitor.open('/jobs?state=discarded')).text).toContain('fails for good failed on purpose')
    expect((await visitor.open('/jobs?state=scheduled')).text).toContain(waiting)
    // GoodJob job.rb: a job that waits for its first retry is listed as scheduled.
    expect((await visitor.open('/jobs?state=scheduled')).text).toContain('come back in an hour')
    for (const path of ['/performance', '/performance?chart_range=7d']) {
      const page = await visitor.open(path)
      expect([path, page.status]).toEqual([path, 200])
      for (const jobClass of ['Node::MemberJob', 'UnknownToRubyJob', 'Node::PatientJob'])
        expect(page.text).toContain(jobClass)
    }
    const shown = await visitor.open(`/jobs/${failed}`)
    expect(shown.text).toMatch(/MemberJob::Failed: fails for good failed on purpose/)
    const pages = await visitor.crawl()
    expect(pages.filter(({ status }) => status !== 200).map(({ status, path }) => `${status} ${path}`)).toEqual([])
    const paths = pages.map(({ path }) => path.split('?')[0])
    const wanted = ['/batches', `/batches/${batch.id}`, `/jobs/${failed}`, '/performance', '/cleaner', '/processes']
    expect(paths).toEqual(expect.arrayContaining(wanted))
    expect((await app.pool.query(SELECT_INCOMPLETE_EXECUTIONS)).rows).toEqual([])
  })

  test('a job whose class Ruby does not know is discarded, rescheduled and destroyed by its buttons [GJ-082]', async () => {
    const id = await enqueue(UnknownToRubyJob, 'unknown to Ruby', { wait: 3600 })
    expect((await visitor.job(id, 'reschedule')).notice).toBe('Job has been rescheduled')
    await untilRow(id, { isFinished: true, error: null, executions: 1 })
    expect((await visitor.job(id, 'destroy')).notice).toBe('Job has been destroyed')
    expect(await row(id)).toBeUndefined()
    const other = await enqueue(UnknownToRubyJob, 'also unknown', { wait: 3600 })
    expect((await visitor.job(other, 'discard')).notice).toBe('Job has been discarded')
    expect(await row(other)).toMatchObject({
      isFinished: true,
      error: 'GoodJob::Job::DiscardJobError: Discarded through dashboard',
    })
  })

  test('a job of Node with a stub in Ruby runs again correctly in Node after the retry button [GJ-083]', async () => {
    const id = await enqueue(NodeMemberJob, 'retried by its button', { fails: 1 })
    await untilRow(id, { isFinished: true, error: 'MemberJob::Failed: retried by its button failed on purpose' })
    expect((await visitor.job(id, 'retry')).notice).toBe('Job has been retried')
    await untilRow(id, { isFinished: true, error: null, executions: 2, arguments: ['retried by its button'] })
    const performed = await app.events('performed', { name: 'retried by its button' })
    expect(performed.map(({ payload }) => payload.side)).toEqual(['node'])
  })
})
