import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Dashboard } from './dashboard.ts'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp, RailsWeb } from './rails-app.ts'
import { TestBatch } from './support/batches.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** The workers of the jobs that the dashboard shows, and the names of their classes. */
interface Side {
  readonly name: string
  readonly classes: string
  readonly queue: string
  startWorker(app: RailsApp): Promise<{ stop(): Promise<void> }>
}

// As a team would run it: a Ruby worker runs as well, for the batch callbacks and all other Ruby jobs.
const startWorkerBesideRuby = async (app: RailsApp) => {
  const [worker] = await Promise.all([startNodeWorker(app), app.startWorker()])
  return worker
}

const SIDES: readonly Side[] = [
  { name: 'Ruby', classes: '', queue: 'default', startWorker: (app) => app.startWorker() },
  { name: 'Node', classes: 'Node::', queue: 'node', startWorker: startWorkerBesideRuby },
]

interface JobRow {
  readonly error: string | null
  readonly isFinished: boolean
  readonly isScheduled: boolean
  readonly isLocked: boolean
}

const SELECT_JOB = `
  SELECT
    error,
    finished_at IS NOT NULL AS "isFinished",
    finished_at IS NULL AND performed_at IS NULL AND scheduled_at > now() AT TIME ZONE 'UTC' AS "isScheduled",
    locked_by_id IS NOT NULL AS "isLocked"
  FROM good_jobs WHERE id = $1`

describeWithRuby.each(SIDES)(
  'the dashboard and jobs that $name works',
  ({ name: side, classes, queue, startWorker }) => {
    let app: RailsApp
    let web: RailsWeb
    let visitor: Dashboard

    beforeAll(async () => {
      app = await bootRails()
      ;[web] = await Promise.all([app.startWeb(), startWorker(app)])
      visitor = web.visit()
    })

    afterAll(() => app.stop())

    const memberClass = `${classes}MemberJob`

    const enqueue = (name: string, options: { wait?: number } = {}) =>
      app.run<string>(`${memberClass}.set(**args[:options].symbolize_keys).perform_later(args[:name]).job_id`, {
        name,
        options,
      })

    const row = async (id: string): Promise<JobRow | undefined> =>
      (await app.pool.query<JobRow>(SELECT_JOB, [id])).rows[0]

    const untilSucceeded = (id: string) =>
      eventually(`job ${id} has succeeded`, async () => {
        const job = await row(id)
        return job?.isFinished && job.error === null
      })

    const untilDiscarded = (id: string) =>
      eventually(`job ${id} is discarded`, async () => {
        const job = await row(id)
        return job?.isFinished && job.error !== null
      })

    const untilStarted = (name: string) =>
      eventually(`${name} has started`, async () => (await app.events('started', { name })).length)

    /** A job that was discarded by its error and will succeed when it runs again. */
    const discarded = async (name: string): Promise<string> => {
      await app.letFail(name)
      const id = await enqueue(name)
      await untilDiscarded(id)
      return id
    }

    test('refuses a change without the token of its page', async () => {
      const id = await enqueue('protected', { wait: 3600 })
      const body = new URLSearchParams({ _method: 'put' })
      const answer = await fetch(`${web.url}/jobs/${id}/discard`, { method: 'POST', body, redirect: 'manual' })
      expect(answer.status).toBe(422)
      expect(await row(id)).toMatchObject({ isFinished: false })
    })

    test('shows the attempts and the error of a job', async () => {
      const id = await discarded('shown')
      const page = await visitor.open(`/jobs/${id}`)
      expect(page.status).toBe(200)
      expect(page.text).toContain(memberClass)
      expect(page.text).toContain('MemberJob::Failed: shown failed on purpose')
    })

    test('retries a discarded job', async () => {
      const id = await discarded('retried')
      expect((await visitor.job(id, 'retry')).notice).toBe('Job has been retried')
      await untilSucceeded(id)
    })

    test('discards a job that waits', async () => {
      const id = await enqueue('discarded', { wait: 3600 })
      expect((await visitor.job(id, 'discard')).notice).toBe('Job has been discarded')
      expect(await row(id)).toMatchObject({
        isFinished: true,
        error: 'GoodJob::Job::DiscardJobError: Discarded through dashboard',
      })
    })

    test('reschedules a job to now', async () => {
      const id = await enqueue('rescheduled', { wait: 3600 })
      expect((await visitor.job(id, 'reschedule')).notice).toBe('Job has been rescheduled')
      await untilSucceeded(id)
    })

    test('force-discards a running job, which stays discarded', async () => {
      const gate = await shutGate(app.databaseUrl, 'forced')
      const id = await enqueue('forced')
      await untilStarted('forced')
      expect((await visitor.job(id, 'force_discard')).notice).toMatch(/^Job has been force discarded/)
      await gate.release()
      await eventually('its work is over', async () => (await app.events('performed', { name: 'forced' })).length)
      expect(await row(id)).toMatchObject({
        isFinished: true,
        error: 'GoodJob::Job::DiscardJobError: Force discarded through dashboard',
      })
    })

    test('destroys a job that has ended', async () => {
      const id = await enqueue('destroyed')
      await untilSucceeded(id)
      expect((await visitor.job(id, 'destroy')).notice).toBe('Job has been destroyed')
      expect(await row(id)).toBeUndefined()
    })

    test('refuses an action of an older page that the state of the job no longer allows', async () => {
      const id = await discarded('refused')
      const older = await visitor.open(`/jobs/${id}`)
      await visitor.job(id, 'retry')
      await untilSucceeded(id)
      const page = await visitor.press(older, { action: `/jobs/${id}/retry` })
      expect(page.alert).toBe('Job is not in an appropriate state for this action.')
    })

    test('retries and destroys the selected jobs', async () => {
      const ids = [await discarded('many 1'), await discarded('many 2')]
      expect((await visitor.mass('retry', ids)).notice).toBe('Successfully retried 2 jobs')
      await Promise.all(ids.map(untilSucceeded))
      expect((await visitor.mass('destroy', ids)).notice).toBe('Successfully destroyed 2 jobs')
      expect(await Promise.all(ids.map(row))).toEqual([undefined, undefined])
    })

    test('discards all jobs of a list', async () => {
      const ids = [await enqueue('all 1', { wait: 3600 }), await enqueue('all 2', { wait: 3600 })]
      expect((await visitor.mass('discard', 'all', 'scheduled')).notice).toMatch(/^Successfully discarded \d+ jobs$/)
      for (const id of ids) expect(await row(id)).toMatchObject({ isFinished: true, isScheduled: false })
    })

    test('reschedules the selected jobs', async () => {
      const ids = [await enqueue('soon 1', { wait: 3600 }), await enqueue('soon 2', { wait: 3600 })]
      expect((await visitor.mass('reschedule', ids, 'scheduled')).notice).toBe('Successfully rescheduled 2 jobs')
      await Promise.all(ids.map(untilSucceeded))
    })

    test('retries a batch', async () => {
      const batch = await TestBatch.enqueue(app, {
        members: [
          { name: 'good', jobClass: memberClass },
          { name: 'bad', jobClass: memberClass, fails: 1 },
        ],
      })
      expect((await batch.settled()).isDiscarded).toBe(true)
      expect((await visitor.retryBatch(batch.id)).notice).toBe('Batch has been retried')
      const state = await batch.settled()
      expect(state).toMatchObject({
        isDiscarded: false,
        isFinished: true,
        members: { good: 'succeeded', bad: 'succeeded' },
      })
      expect(state.callbacks).toContain('success')
      expect((await visitor.open(`/batches/${batch.id}`)).text).toContain(batch.job('bad'))
    })

    test('enqueues, disables and enables a cron entry', async () => {
      const key = classes === '' ? 'yearly' : 'node_yearly'
      expect((await visitor.cron(key, 'enqueue')).notice).toMatch(/enqueued/)
      await eventually('the job of the cron entry has run', async () => (await app.events('performed', { key })).length)
      expect((await visitor.cron(key, 'disable')).notice).toMatch(/disabled/)
      expect(await app.run('GoodJob::CronEntry.find(args[:key]).enabled?', { key })).toBe(false)
      expect((await visitor.cron(key, 'enable')).notice).toMatch(/enabled/)
      expect(await app.run('GoodJob::CronEntry.find(args[:key]).enabled?', { key })).toBe(true)
      expect((await visitor.open(`/cron_entries/${key}`)).text).toContain(`${classes}CronJob`)
    })

    // Workers in Node ignore pauses here.
    if (side === 'Ruby') {
      test('pauses and unpauses a queue', async () => {
        await visitor.pause('queue', queue)
        const id = await enqueue('paused')
        const other = await app.run<string>(
          `${memberClass}.set(queue: args[:queue]).perform_later('not paused').job_id`,
          {
            queue: `${queue}2`,
          },
        )
        await untilSucceeded(other)
        expect(await row(id)).toMatchObject({ isFinished: false })
        await visitor.unpause('queue', queue)
        await untilSucceeded(id)
      })
    }

    test('lists the worker process', async () => {
      const { rows } = await app.pool.query<{ id: string; pid: number }>(
        `SELECT id, (state->>'pid')::integer AS pid FROM good_job_processes`,
      )
      const page = await visitor.open('/processes')
      expect(page.status).toBe(200)
      expect(rows).not.toEqual([])
      for (const { id, pid } of rows) expect(page.text).toMatch(new RegExp(`\\b(${id}|${pid})\\b`))
    })

    test('opens every page that a visitor can reach', async () => {
      await app.run(`${classes}PatientJob.perform_later`)
      await enqueue('crawled', { wait: 3600 })
      const pages = await visitor.crawl()
      expect(pages.filter(({ status }) => status !== 200).map(({ status, path }) => `${status} ${path}`)).toEqual([])
      const paths = pages.map(({ path }) => path.split('?')[0])
      for (const path of ['/jobs', '/batches', '/cron_entries', '/processes', '/performance', '/pauses', '/cleaner'])
        expect(paths).toContain(path)
      expect(
        pages.some(({ text }) => text.includes(memberClass)),
        `${side} jobs are shown`,
      ).toBe(true)
    })
  },
)
