import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { afterAll, expect, test } from 'vitest'
import { Capsule, Job } from '../../src/index.ts'
import { runCli, runJson } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'
import { createDatabase } from '../support/postgres.ts'

class NoopJob extends Job {
  perform(): void {}
}

const { adapter, database, close } = await openWorld()
afterAll(close)

/** Runs a command; one that finds a fault fails, and never prints that all is well. */
const checked = async (args: readonly string[], env: NodeJS.ProcessEnv) => {
  const result = await runCli(args, { env })
  if (result.stdout.includes('✖'))
    expect(result).toMatchObject({ code: 1, stdout: expect.not.stringContaining('All is well') })
  return result
}
const goodJob = (...args: string[]) => checked(args, { DATABASE_URL: database.url })

test('good-job without a command shows help', async () => {
  const { code, stdout } = await runCli([])
  expect(code).toBe(0)
  for (const name of ['start', 'jobs', 'batches', 'schema', 'doctor', 'demo', 'cleanup_preserved_jobs']) {
    expect(stdout).toMatch(new RegExp(`^  ${name}\\b`, 'm'))
  }
})

test('--version prints the package version', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect((await runCli(['--version'])).stdout).toBe(`${version}\n`)
})

test('a group without a command shows its help and is a usage error', async () => {
  const { code, stderr } = await runCli(['jobs'])
  expect(stderr).toContain('force-discard')
  expect(code).toBe(2)
})

test('schema install creates the tables once, check compares them, print prints schema.sql', async () => {
  const empty = await createDatabase({ template: 'empty' })
  const run = (...args: string[]) => runCli(['schema', ...args], { env: { DATABASE_URL: empty.url } })
  expect(await run('check')).toMatchObject({ code: 1, stdout: expect.stringContaining('There are no GoodJob tables') })
  expect(await run('install')).toMatchObject({
    code: 0,
    stderr: '',
    stdout: expect.stringMatching(/^Installed in schema "public": .*good_jobs/),
  })
  expect(await run('install')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('Nothing to do: schema "public" has all tables'),
  })
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

test('cleanup_preserved_jobs deletes jobs older than --before-seconds-ago', async () => {
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
    stderr: expect.stringContaining('--before-seconds-ago: expected a number of at least 0'),
  })
})

test('doctor names queues without a worker, and succeeds once a worker serves them', async () => {
  const job = await NoopJob.set({ queue: 'lonely' }).performLater()
  const alone = await goodJob('doctor')
  expect(alone.code).toBe(1)
  expect(alone.stdout).toContain('No worker process is alive.')
  expect(alone.stdout).toMatch(/Queue "lonely" has 1 due job of class NoopJob and no worker, the oldest since .*\./)
  expect(alone.stdout).not.toContain('All is well.')

  await using capsule = new Capsule({ jobs: [NoopJob], databaseUrl: database.url, queues: '-lonely;mail' })
  await capsule.start()
  const report = await runJson(database.url, 'doctor')
  expect(report).toMatchObject({
    is_healthy: false,
    problems: ['queue "lonely" has 1 due job of class NoopJob and no worker'],
    processes: [{ id: capsule.processId, pid: String(process.pid), pools: ['-lonely', 'mail'], is_alive: true }],
    unserved_jobs: [{ queue_name: 'lonely', job_class: 'NoopJob', jobs: 1, lacks: 'queue' }],
    unproven_batches: [],
    schema: { is_current: true },
  })
  await adapter.discardJob(job ? job.jobId : '')
  expect(await goodJob('doctor')).toMatchObject({ code: 0, stdout: expect.stringContaining('All is well.') })
})

test('doctor names a class that no worker has, although its queue is served', async () => {
  await using capsule = new Capsule({ jobs: [NoopJob], databaseUrl: database.url })
  await capsule.start()
  const pool = database.pool()
  await pool.query(`INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, priority, serialized_params, scheduled_at, created_at, updated_at)
    SELECT id, id, 'ForgottenJob', 'mail', 0, '{}', at, at, at
    FROM (SELECT gen_random_uuid() AS id, now() AT TIME ZONE 'UTC' - interval '2 hours' AS at FROM generate_series(1, 2)) AS job`)
  const { code, stdout } = await goodJob('doctor')
  expect(code).toBe(1)
  expect(stdout).toMatch(
    /✖ No worker of queue "mail" has class ForgottenJob; 2 due jobs wait for one, the oldest since 2 h ago\./,
  )
  expect(stdout).not.toContain('All is well.')
  expect(await runJson(database.url, 'doctor')).toMatchObject({
    is_healthy: false,
    processes: [{ id: capsule.processId, job_classes: ['NoopJob'], honours_pauses: false }],
    unserved_jobs: [{ queue_name: 'mail', job_class: 'ForgottenJob', jobs: 2, lacks: 'class' }],
  })
  // A Ruby worker does not publish its classes, and may have this one.
  await pool.query(`INSERT INTO good_job_processes (id, state, created_at, updated_at)
    VALUES (gen_random_uuid(), '{"hostname":"ruby","pid":1,"schedulers":[{"queues":"mail"}]}', now(), now() AT TIME ZONE 'UTC')`)
  expect((await goodJob('doctor')).stdout).toContain('Every due job has a worker.')
  await pool.query(`DELETE FROM good_job_processes WHERE id <> $1`, [capsule.processId])
  await pool.query(`DELETE FROM good_jobs WHERE job_class = 'ForgottenJob'`)
})

test('doctor without any worker fails, also if no job is due', async () => {
  const { code, stdout } = await goodJob('doctor')
  expect(code).toBe(1)
  expect(stdout).toContain('✖ No worker process is alive.')
  expect(stdout).toContain('1 problem.')
  expect(stdout).not.toContain('All is well.')
  expect(await runJson(database.url, 'doctor')).toMatchObject({
    is_healthy: false,
    problems: ['no worker process is alive'],
  })
})

test('a process that has been silent for two minutes serves no queue', async () => {
  const pool = database.pool()
  await pool.query(`INSERT INTO good_job_processes (id, state, created_at, updated_at) VALUES
    (gen_random_uuid(), '{"hostname":"killed","pid":1,"schedulers":[{"queues":"*"}]}', now(), now() AT TIME ZONE 'UTC' - interval '3 minutes')`)
  const { stdout } = await goodJob('doctor')
  expect(stdout).toContain('✖ No worker process is alive, and 1 dead process whose row has not been cleaned up.')
  await pool.query('DELETE FROM good_job_processes')
})

test('a pause that no live worker honours is stored, exits with 1, and is reported by doctor', async () => {
  const alone = await goodJob('pause', '--queue', 'mail')
  expect(alone).toMatchObject({ code: 1, stdout: 'queue  mail\n' })
  expect(alone.stderr).toContain('no live worker honours pauses: start workers with --enable-pauses')
  const run = async (enablePauses: boolean) => {
    await using capsule = new Capsule({ jobs: [NoopJob], databaseUrl: database.url, enablePauses })
    await capsule.start()
    return { pause: await goodJob('pause', '--queue', 'mail'), doctor: await goodJob('doctor') }
  }
  const deaf = await run(false)
  expect(deaf.pause.code).toBe(1)
  expect(deaf.doctor).toMatchObject({
    code: 1,
    stdout: expect.stringContaining('✖ something is paused, but no live worker honours pauses'),
  })
  const hearing = await run(true)
  expect(hearing.pause).toMatchObject({ code: 0, stderr: '' })
  expect(hearing.doctor.code).toBe(0)
  await goodJob('unpause', '--queue', 'mail')
})

test('a worker that ignores pauses is named by host and pid beside one that honours them', async () => {
  const { pool } = adapter.database
  await pool.query(`INSERT INTO good_job_processes (id, state, created_at, updated_at)
    VALUES (gen_random_uuid(), '{"hostname":"deaf","pid":7,"schedulers":[{"queues":"*"}],"good_job_node":{"enable_pauses":false}}', now(), now() AT TIME ZONE 'UTC')`)
  await using capsule = new Capsule({ jobs: [NoopJob], databaseUrl: database.url, enablePauses: true })
  await capsule.start()
  const { code, stderr } = await goodJob('pause', '--queue', 'mail')
  expect(stderr).toBe('warning: worker deaf:7 ignores pauses: started without --enable-pauses\n')
  expect(code).toBe(0)
  await goodJob('unpause', '--queue', 'mail')
  await pool.query(`DELETE FROM good_job_processes WHERE id <> $1`, [capsule.processId])
})

test('the tables are created and found in the schema of the URL, which messages name', async () => {
  const empty = await createDatabase({ template: 'empty' })
  await empty.pool().query('CREATE SCHEMA "tenant b"')
  const env = { DATABASE_URL: `${empty.url}?schema=tenant%20b` }
  expect((await runCli(['schema', 'check'], { env })).stdout).toContain(
    'There are no GoodJob tables (search_path: "tenant b")',
  )
  expect((await runCli(['schema', 'install'], { env })).stdout).toMatch(/^Installed in schema "tenant b": /)
  expect((await runCli(['schema', 'check'], { env })).stdout).toContain('The tables in schema "tenant b" are those')
  expect((await runCli(['jobs', 'list'], { env })).stdout).toBe('No jobs.\n')
  expect((await runCli(['schema', 'check'], { env: { DATABASE_URL: empty.url } })).code).toBe(1)
  await empty.drop()
})

test('doctor distinguishes dead from live processes, including those of Ruby', async () => {
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
  expect(problems).toContain('there are dead processes whose rows have not been cleaned up')
  const { code, stdout } = await goodJob('doctor')
  expect(stdout).toMatch(/^✖ 1 worker process, and 2 dead processes whose row has not been cleaned up:$/m)
  expect(code).toBe(1)
  await pool.query('DELETE FROM good_job_processes')
})

test('doctor of a database without tables prints how to create them', async () => {
  const empty = await createDatabase({ template: 'empty' })
  const { code, stdout } = await checked(['doctor'], { DATABASE_URL: empty.url })
  expect(stdout).toContain('Create them with "good-job schema install"')
  expect(code).toBe(1)
  await empty.drop()
})

test('a closed output pipe is no error', async () => {
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
