import { afterAll, beforeEach, expect, test } from 'vitest'
import { Capsule, events, Job, performAllLater } from '../../src/index.ts'
import { runCli, runJson } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'

class MailJob extends Job {
  static override queueAs = 'mail'
  static override labels = ['important']
  perform(_to: string): void {}
}

class ReportJob extends Job {
  perform(): void {}
}

interface JobList {
  readonly jobs: readonly {
    readonly id: string
    readonly job_class: string
    readonly state: string
    readonly error: string | null
  }[]
  readonly next: string | null
}

const { adapter, database, close } = await openWorld()
afterAll(close)
beforeEach(async () => {
  await adapter.database.pool.query('TRUNCATE good_jobs, good_job_executions, good_job_batches')
})

const idOf = (job: Job | false): string => (job ? job.jobId : '')
const jobs = (...args: string[]) => runCli(['jobs', ...args], { env: { DATABASE_URL: database.url } })
const list = (...args: string[]) => runJson<JobList>(database.url, 'jobs', 'list', ...args)

test('list prints a table, and with --json rows with the names of the columns', async () => {
  const id = idOf(await MailJob.performLater('a@example.com'))
  const { code, stdout } = await jobs('list')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^id\s+class\s+queue\s+state\s+runs\s+when\s+error$/m)
  expect(stdout).toMatch(new RegExp(`^${id}\\s+MailJob\\s+mail\\s+queued\\s+0`, 'm'))
  expect(await list()).toMatchObject({
    jobs: [
      {
        id,
        job_class: 'MailJob',
        queue_name: 'mail',
        priority: 0,
        state: 'queued',
        labels: ['important'],
        error: null,
      },
    ],
    next: null,
  })
})

test('list without any jobs prints that there are none', async () => {
  expect((await jobs('list')).stdout).toBe('No jobs.\n')
})

test('list filters by state, queue, class and label', async () => {
  const mail = idOf(await MailJob.performLater('a'))
  const report = idOf(await ReportJob.performLater())
  const later = idOf(await ReportJob.set({ wait: 600 }).performLater())
  await adapter.discardJob(report)
  const ids = async (...args: string[]) => (await list(...args)).jobs.map(({ id }) => id)
  expect(await ids('--state', 'queued')).toEqual([mail])
  expect(await ids('--state', 'discarded', '--state', 'scheduled')).toEqual([later, report])
  expect(await ids('--queue', 'mail')).toEqual([mail])
  expect(await ids('--class', 'ReportJob')).toEqual([later, report])
  expect(await ids('--label', 'important')).toEqual([mail])
  expect(await ids('--class', 'ReportJob', '--state', 'queued')).toEqual([])
})

test('pages of a list hold every job once', async () => {
  await performAllLater(Array.from({ length: 7 }, () => new ReportJob()))
  const seen: string[] = []
  for (let after: string[] = [], pages = 0; pages < 4; pages += 1) {
    const page = await list('--limit', '2', ...after)
    seen.push(...page.jobs.map(({ id }) => id))
    if (page.next === null) break
    after = ['--after', page.next]
  }
  expect(new Set(seen).size).toBe(7)
  expect(seen.length).toBe(7)
})

test('finished jobs are listed by their end, the latest first, with their own pages', async () => {
  const made = [new ReportJob(), new ReportJob(), new ReportJob()]
  await performAllLater(made)
  const order = [made[1], made[2], made[0]].map((job) => job?.jobId ?? '')
  for (const id of order) await adapter.discardJob(id)
  const first = await list('--state', 'discarded', '--limit', '2')
  expect(first.jobs.map(({ id }) => id)).toEqual([order[2], order[1]])
  const second = await list('--state', 'discarded', '--limit', '2', '--after', first.next ?? '')
  expect(second).toMatchObject({ jobs: [{ id: order[0] }], next: null })
})

test('a list of running jobs includes those of a live process and interrupted ones', async () => {
  const [running, interrupted, waiting] = [new ReportJob(), new ReportJob(), new ReportJob()]
  await performAllLater([running, interrupted, waiting])
  const pool = database.pool()
  await pool.query('UPDATE good_jobs SET performed_at = now() WHERE id <> $1', [waiting.jobId])
  await pool.query('UPDATE good_jobs SET locked_by_id = gen_random_uuid(), locked_at = now() WHERE id = $1', [
    running.jobId,
  ])
  const ids = (await list('--state', 'running')).jobs.map(({ id }) => id)
  expect(ids.toSorted()).toEqual([running.jobId, interrupted.jobId].toSorted())
})

test('show prints arguments, attempts and error of one job', async () => {
  const id = idOf(await MailJob.performLater('a@example.com'))
  await adapter.discardJob(id, 'no such address')
  const { stdout } = await jobs('show', id)
  expect(stdout).toContain(`MailJob ${id}`)
  expect(stdout).toMatch(/arguments\s+\["a@example\.com"\]/)
  expect(stdout).toMatch(/error\s+GoodJob::Job::DiscardJobError: no such address/)
  expect(await runJson(database.url, 'jobs', 'show', id)).toMatchObject({
    id,
    state: 'discarded',
    serialized_params: { job_class: 'MailJob', arguments: ['a@example.com'] },
    executions: [],
  })
})

test('show exits with 1 for a job that does not exist, and with 2 for an id that is no UUID', async () => {
  const missing = await jobs('show', '01234567-89ab-cdef-0123-456789abcdef')
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no job 01234567') })
  const wrong = await jobs('show', '17')
  expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('An id looks like') })
})

test('retry, discard, reschedule and destroy act on the given ids', async () => {
  const id = idOf(await ReportJob.performLater())
  expect((await jobs('discard', id, '--message', 'by mistake')).stdout).toBe('1 job discarded.\n')
  expect((await list()).jobs[0]).toMatchObject({
    state: 'discarded',
    error: 'GoodJob::Job::DiscardJobError: by mistake',
  })
  expect((await jobs('retry', id)).stdout).toBe('1 job retried.\n')
  expect((await jobs('reschedule', id, '--at', '2040-01-01T00:00:00Z')).stdout).toBe('1 job rescheduled.\n')
  const { rows } = await adapter.database.pool.query('SELECT scheduled_at::text FROM good_jobs WHERE id = $1', [id])
  expect(rows[0]?.scheduled_at).toBe('2040-01-01 00:00:00')
  expect((await jobs('force-discard', id)).stdout).toBe('1 job discarded.\n')
  expect((await jobs('destroy', id)).stdout).toBe('1 job destroyed.\n')
  expect((await list()).jobs).toEqual([])
})

test('an action that is refused for one of several jobs changes the others and exits with 1', async () => {
  const good = idOf(await ReportJob.performLater())
  const bad = idOf(await ReportJob.performLater())
  await adapter.discardJob(good)
  const { code, stdout, stderr } = await jobs('retry', bad, good)
  expect(code).toBe(1)
  expect(stdout).toBe('1 job retried.\n')
  expect(stderr).toContain(`cannot retry job ${bad}: it is unfinished, only discarded jobs can`)
  await adapter.discardJob(good)
  expect(await runJson(database.url, 'jobs', 'retry', bad, good)).toEqual({
    action: 'retry',
    done: [good],
    failed: [{ id: bad, error: expect.stringContaining('only discarded jobs can') }],
  })
})

test('a mass action asks first, which without a terminal needs --yes', async () => {
  await performAllLater(Array.from({ length: 600 }, () => new ReportJob()))
  await MailJob.performLater('a')
  const unasked = await jobs('discard', '--queue', 'default')
  expect(unasked).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Discard 600 jobs? There is no terminal to confirm it; add --yes.'),
  })
  expect((await list('--state', 'discarded')).jobs).toEqual([])
  expect(await jobs('discard', '--queue', 'default', '--yes')).toMatchObject({
    code: 0,
    stdout: '600 jobs discarded.\n',
  })
  expect((await list('--state', 'queued')).jobs.map(({ job_class }) => job_class)).toEqual(['MailJob'])
  expect(await jobs('retry', '--class', 'MailJob', '--yes')).toMatchObject({ code: 0, stdout: 'No job matches.\n' })
})

test('a long mass action prints its progress', async () => {
  await performAllLater(Array.from({ length: 2_000 }, () => new ReportJob()))
  const { code, stdout, stderr } = await jobs('discard', '--class', 'ReportJob', '--yes')
  expect(stdout).toBe('2000 jobs discarded.\n')
  expect(stderr).toMatch(/\d+ of 2000 jobs …/)
  expect(code).toBe(0)
})

test('an action without ids and filter, or with both, is a usage error', async () => {
  expect(await jobs('retry')).toMatchObject({ code: 2, stderr: expect.stringContaining('which jobs?') })
  const id = '01234567-89ab-cdef-0123-456789abcdef'
  expect(await jobs('retry', id, '--queue', 'x')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('not both'),
  })
})

test('list and show name the JavaScript class of an error and its causes; the row keeps the Ruby equivalent', async () => {
  class FailingJob extends Job {
    perform(): void {
      throw new Error('no photo', {
        cause: new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }),
      })
    }
  }
  await using capsule = new Capsule({ databaseUrl: database.url, jobs: [FailingJob] })
  const ended = events.once('perform_job')
  const id = idOf(await FailingJob.performLater())
  await capsule.start()
  await ended
  const chain = 'no photo ← TypeError: fetch failed ← Error: connect ECONNREFUSED'
  const error = `StandardError: ${chain}`
  expect((await jobs('list')).stdout).toContain(` Error: ${chain}\n`)
  const { stdout } = await jobs('show', id)
  expect(stdout).toMatch(new RegExp(`^  error +Error: ${chain}$`, 'm'))
  expect(stdout).toMatch(new RegExp(`^  stored as +${error}$`, 'm'))
  expect(stdout).toMatch(new RegExp(`^   1\\. .*  Error: ${chain}$`, 'm'))
  expect(stdout).toMatch(/^ +caused by TypeError: fetch failed\n +at .*jobs\.test\.ts.*\n +caused by Error: connect/m)
  expect((await list()).jobs).toMatchObject([{ error, thrown_as: 'Error' }])
  expect(await runJson(database.url, 'jobs', 'show', id)).toMatchObject({ error, thrown_as: 'Error' })
})
