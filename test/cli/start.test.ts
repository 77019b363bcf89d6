import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Job } from '../../src/index.ts'
import { Cli } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'

const MODULE = join(import.meta.dirname, '../fixtures/jobs/worker-jobs.mjs')

const { adapter, database, close } = await openWorld()
afterAll(close)

/** Enqueues for the class of the same name in the fixture. */
const enqueue = async (jobClass: string): Promise<string> => {
  class Stub extends Job {
    static override jobClass = jobClass
    perform(): void {}
  }
  const job = await Stub.performLater()
  return job ? job.jobId : ''
}

const row = async (id: string) => {
  const { rows } = await database
    .pool()
    .query('SELECT finished_at, error, performed_at, locked_by_id FROM good_jobs WHERE id = $1', [id])
  return rows[0]
}

const countProcesses = async (id: string): Promise<number> =>
  (await database.pool().query('SELECT FROM good_job_processes WHERE id = $1', [id])).rowCount ?? 0

const start = (...args: string[]): Cli => new Cli(['start', MODULE, ...args], { env: { DATABASE_URL: database.url } })

test('start logs ready with pid, process, pools and classes, and its process row exists', async () => {
  await using worker = start('--queues', '+high,low:2;*', '--threads', '3')
  const [line, pid, processId] = await worker.says(/good-job ready: pid (\d+), process ([\w-]+), .*\n/)
  expect(Number(pid)).toBe(worker.pid)
  expect(line).toContain('pools +high,low:2;*:3')
  expect(line).toContain('5 job classes: ChainJob, ForgetfulJob, HangJob, SlowJob, TimerJob')
  expect(await countProcesses(processId ?? '')).toBe(1)
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
  expect(await countProcesses(processId ?? '')).toBe(0)
})

test('start --json prints the same as JSON', async () => {
  await using worker = start('--json')
  const [line] = await worker.says(/^\{.*"ready".*\}$/m)
  expect(JSON.parse(line)).toMatchObject({
    status: 'ready',
    pid: worker.pid,
    pools: [{ queues: '*', max_threads: 5 }],
    job_classes: ['ChainJob', 'ForgetfulJob', 'HangJob', 'SlowJob', 'TimerJob'],
  })
  worker.signal('SIGINT')
  expect((await worker.ended()).code).toBe(0)
})

test('SIGTERM lets the running job end and exits with 0 [GJ-087]', async () => {
  await using worker = start()
  const id = await enqueue('SlowJob')
  await worker.says(/started/)
  worker.signal('SIGTERM')
  const { code, stdout } = await worker.ended()
  expect(code).toBe(0)
  expect(stdout).toContain(`ended ${id}`)
  expect(await row(id)).toMatchObject({ finished_at: expect.any(Date), error: null, locked_by_id: null })
})

test('a second signal aborts the running job, which the next worker can claim at once', async () => {
  await using worker = start()
  const [, processId] = await worker.says(/process ([\w-]+)/)
  const id = await enqueue('HangJob')
  await worker.says(/started/)
  worker.signal('SIGTERM')
  await worker.says(/Asked to stop/)
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
  expect(await row(id)).toMatchObject({ finished_at: null, locked_by_id: null, performed_at: expect.any(Date) })
  expect(await countProcesses(processId ?? '')).toBe(0)
  await adapter.forceDiscardJob(id)
})

test('--shutdown-timeout ends the wait: the job is aborted, the exit code is 0', async () => {
  await using worker = start('--shutdown-timeout', '0.05')
  const id = await enqueue('HangJob')
  await worker.says(/started/)
  worker.signal('SIGTERM')
  const { code, stderr } = await worker.ended()
  expect(code).toBe(0)
  expect(stderr).toContain('Aborted the jobs that were still running')
  expect(await row(id)).toMatchObject({ finished_at: null, locked_by_id: null })
  await adapter.forceDiscardJob(id)
})

test('--idle-timeout ends the process by itself with 0 [GJ-088]', async () => {
  await using worker = start('--idle-timeout', '0.2')
  const { code, stdout, stderr } = await worker.ended()
  expect(code).toBe(0)
  expect(stdout).toContain('ready')
  expect(stderr).toContain('The idle timeout has passed')
})

test.each([
  ['ForgetfulJob', 'forgotten'],
  ['TimerJob', 'thrown in a timer'],
])('an error that %s does not await fails that attempt only', async (jobClass, text) => {
  await using worker = start()
  const failed = await enqueue(jobClass)
  await worker.says(/A job ended with an error/)
  const next = await enqueue('SlowJob')
  await worker.says(new RegExp(`ended ${next}`))
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
  expect((await row(failed)).error).toContain(text)
  expect((await row(next)).error).toBeNull()
})

test('an error outside of any job is logged, and the worker shuts down cleanly with exit code 1', async () => {
  await using worker = start()
  await worker.says(/ready/)
  const id = await enqueue('SlowJob')
  await worker.says(/started/)
  worker.signal('SIGUSR2')
  const { code, stderr } = await worker.ended()
  expect(code).toBe(1)
  expect(stderr).toContain('Stopping because of a promise that was rejected outside of any job')
  expect(stderr).toContain('astray')
  expect((await row(id)).finished_at).toBeInstanceOf(Date)
})

test('a job enqueues through the connection given by --database-url', async () => {
  await using worker = new Cli(['start', MODULE, '--database-url', database.url])
  await worker.says(/ready/)
  await enqueue('ChainJob')
  await worker.says(/ended/)
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
})

test('each log line is JSON with an event name and without arguments; --log-level silences them', async () => {
  await using worker = start('--log-level', 'debug')
  await enqueue('SlowJob')
  await worker.says(/"event":"perform_job"/)
  worker.signal('SIGTERM')
  const { stderr } = await worker.ended()
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines.find(({ event }) => event === 'perform')).toMatchObject({ level: 'info', jobClass: 'SlowJob' })
  expect(lines.filter((line) => 'arguments' in line)).toEqual([])
  await using quiet = start('--log-level', 'silent', '--idle-timeout', '0')
  expect((await quiet.ended()).stderr).toBe('')
})
