import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Adapter, Capsule, Job } from '../../src/index.ts'
import { inTurn } from '../support/clean-up.ts'
import { runCli, runJson } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'

class NoopJob extends Job {
  perform(): void {}
}

let database: TestDatabase
let adapter: Adapter

beforeAll(async () => {
  database = await createDatabase()
  adapter = new Adapter({ databaseUrl: database.url })
  Job.queueAdapter = adapter
})
afterAll(
  inTurn(
    () => adapter.close(),
    () => database.drop(),
  ),
)

const goodJob = (...args: string[]) => runCli(args, { env: { DATABASE_URL: database.url } })

test('without a command, help is shown', async () => {
  const { code, stdout } = await runCli([])
  expect(code).toBe(0)
  for (const name of ['start', 'jobs', 'batches', 'schema', 'doctor', 'demo', 'cleanup_preserved_jobs']) {
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
  }
})

test('--version is the package version', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect((await runCli(['--version'])).stdout).toBe(`${version}\n`)
})

test('a group without a command shows its help and is wrong usage', async () => {
  const { code, stderr } = await runCli(['jobs'])
  expect(stderr).toContain('force-discard')
  expect(code).toBe(2)
})

test('schema install creates the tables once, check compares them, print writes schema.sql', async () => {
  const empty = await createDatabase({ template: 'empty' })
  const run = (...args: string[]) => runCli(['schema', ...args], { env: { DATABASE_URL: empty.url } })
  expect(await run('check')).toMatchObject({ code: 1, stdout: expect.stringContaining('There are no GoodJob tables') })
  expect(await run('install')).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^Installed: .*good_jobs/),
  })
  expect(await run('install')).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing to do') })
  expect(await run('check')).toMatchObject({ code: 0, stdout: expect.stringContaining('are those of GoodJob 4.23.1') })
  expect(await runJson(empty.url, 'schema', 'check')).toMatchObject({
    can_work: true,
    is_current: true,
    good_job_version: expect.stringMatching(/^4\.23\./),
  })
  expect((await run('print')).stdout).toBe(await readFile(new URL('../../schema.sql', import.meta.url), 'utf8'))

  await empty.pool().query('ALTER TABLE good_job_batches DROP COLUMN jobs_finished_at')
  const older = await run('check')
  expect(older).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('missing column good_job_batches.jobs_finished_at'),
  })
  expect(await run('install')).toMatchObject({ code: 1, stderr: expect.stringContaining('Nothing was installed') })
  await empty.drop()
})

test('cleanup_preserved_jobs deletes what is older than it is told', async () => {
  const job = await NoopJob.performLater()
  await adapter.discardJob(job ? job.jobId : '')
  expect((await goodJob('cleanup_preserved_jobs')).stdout).toBe('Deleted 0 jobs, 0 executions, 0 batches.\n')
  expect((await goodJob('cleanup_preserved_jobs', '--before-seconds-ago', '0')).stdout).toMatch(/^Deleted 1 job, /)
  expect(await runJson(database.url, 'cleanup_preserved_jobs', '--before-seconds-ago', '0')).toEqual({
    destroyed_jobs_count: 0,
    destroyed_executions_count: 0,
    destroyed_batches_count: 0,
  })
  const wrong = await goodJob('cleanup_preserved_jobs', '--before-seconds-ago', '-1')
  expect(wrong).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--before-seconds-ago: expected a number from 0'),
  })
})

test('doctor names queues that nobody serves, and is content when a worker does', async () => {
  const job = await NoopJob.set({ queue: 'lonely' }).performLater()
  const alone = await goodJob('doctor')
  expect(alone.code).toBe(1)
  expect(alone.stdout).toContain('No worker process is alive.')
  expect(alone.stdout).toMatch(/Queue "lonely": 1 due job, the oldest since .*, and no worker serves it\./)

  await using capsule = new Capsule({ jobs: [NoopJob], databaseUrl: database.url, queues: '-lonely;mail' })
  await capsule.start()
  const report = await runJson(database.url, 'doctor')
  expect(report).toMatchObject({
    is_healthy: false,
    problems: ['queue "lonely" has 1 due job and no worker'],
    processes: [{ id: capsule.processId, pid: String(process.pid), pools: ['-lonely', 'mail'], is_alive: true }],
    queues_without_worker: [{ queue_name: 'lonely', jobs: 1 }],
    unproven_batches: [],
    schema: { is_current: true },
  })
  await adapter.discardJob(job ? job.jobId : '')
  expect(await goodJob('doctor')).toMatchObject({ code: 0, stdout: expect.stringContaining('All is well.') })
})

test('doctor knows dead processes from live ones, those of Ruby included', async () => {
  const pool = database.pool()
  await pool.query(`INSERT INTO good_job_processes (id, state, lock_type, created_at, updated_at) VALUES
    (gen_random_uuid(), '{"hostname":"quiet","pid":1,"schedulers":[{"queues":"*"}]}', NULL, now(), now() - interval '6 minutes'),
    (gen_random_uuid(), '{"hostname":"unlocked","pid":2,"schedulers":[{"name":"GoodJob::Scheduler(queues=mail max_threads=5)"}]}', 0, now(), now()),
    (gen_random_uuid(), 'null', NULL, now(), now())`)
  const { processes, problems } = await runJson<{ processes: object[]; problems: string[] }>(database.url, 'doctor')
  expect(processes).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ hostname: 'quiet', is_alive: false, pools: ['*'] }),
      expect.objectContaining({ hostname: 'unlocked', is_alive: false, pools: ['mail'] }),
      expect.objectContaining({ hostname: 'unknown', is_alive: true, pools: [] }),
    ]),
  )
  expect(problems).toContain('there are dead processes whose rows nobody has cleaned up')
  await pool.query('DELETE FROM good_job_processes')
})

test('doctor of a database without tables says how to get them', async () => {
  const empty = await createDatabase({ template: 'empty' })
  const { code, stdout } = await runCli(['doctor'], { env: { DATABASE_URL: empty.url } })
  expect(stdout).toContain('Create them by "good-job schema install"')
  expect(code).toBe(1)
  await empty.drop()
})

test('a reader that goes away is no error', async () => {
  const cli = new URL('../../dist/cli.js', import.meta.url).pathname
  const child = spawn(process.execPath, [cli, 'schema', 'print'], { stdio: ['ignore', 'pipe', 'pipe'] })
  child.stdout.destroy()
  let stderr = ''
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  await once(child, 'close')
  expect(stderr).toBe('')
})
