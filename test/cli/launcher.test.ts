import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type AppFolder, makeAppFolder, TIMED_JOBS } from '../support/app-folder.ts'
import { inTurn } from '../support/clean-up.ts'
import { cleanEnvironment } from '../support/cli.ts'
import { enqueue, jobClass, openWorld, until, type World } from '../support/harness.ts'

const TimedJob = jobClass('TimedJob', () => undefined)
const START = 'good-job start ./jobs.js --poll-interval 1 --queues'

let world: World
let app: AppFolder
beforeAll(async () => {
  world = await openWorld()
  const scripts = {
    plain: `${START} plain`,
    compound: `true && ${START} compound && true`,
    nested: 'npm run --silent inner',
    inner: `${START} nested`,
    nohup: `nohup ${START} nohup >nohup.log 2>&1 & wait`,
    setsid: `setsid ${START} setsid & wait`,
  }
  app = await makeAppFolder(join(import.meta.dirname, '../..'), { 'jobs.js': TIMED_JOBS }, scripts)
})
afterAll(
  inTurn(
    () => killWorkers(),
    () => app[Symbol.asyncDispose](),
    () => world.close(),
  ),
)

/** Processes that a failed test left running: nothing else would end them. */
const killWorkers = async (): Promise<void> => {
  const rows = await world.sql<{ pid: number }>(`SELECT (state ->> 'pid')::int AS pid FROM good_job_processes`)
  for (const { pid } of rows) if (isAlive(pid)) process.kill(pid, 'SIGKILL')
}

/** Starts a worker of one queue this way; resolves when it has begun a job of this duration. */
const begin = async (queue: string, command: readonly string[], ms: number) => {
  const [program = '', ...args] = command
  const launcher = spawn(program, args, {
    cwd: app.path,
    env: { ...cleanEnvironment(), DATABASE_URL: world.url },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const log: string[] = []
  createInterface({ input: launcher.stderr }).on('line', (line) => log.push(line))
  const id = await enqueue(TimedJob, { queue }, ms)
  await until(async () => (await world.job(id)).performed_at !== null, 'the job has begun', 60_000)
  const [row] = await world.sql<{ pid: number }>(
    `SELECT (state ->> 'pid')::int AS pid FROM good_job_processes JOIN good_jobs ON locked_by_id = good_job_processes.id
     WHERE good_jobs.id = $1`,
    [id],
  )
  return { launcher, log, id, workerPid: row?.pid ?? 0 }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
const gone = (pid: number) => until(async () => !isAlive(pid), `process ${pid} is gone`, 30_000)
const ended = async (launcher: ChildProcess) => launcher.exitCode ?? launcher.signalCode ?? once(launcher, 'exit')

describe.concurrent('a worker that npm started', () => {
  test.each([
    ['npx', 'SIGKILL', 'npx', ['npx', ...`${START} npx`.split(' ')]],
    ['npx', 'SIGTERM', 'npx-term', ['npx', ...`${START} npx-term`.split(' ')]],
    ['npx, with a supervisor,', 'SIGKILL', 'cluster', ['npx', ...`${START} cluster --subprocesses 1`.split(' ')]],
    ['npm run', 'SIGKILL', 'plain', ['npm', 'run', '--silent', 'plain']],
    ['a script of several commands', 'SIGKILL', 'compound', ['npm', 'run', '--silent', 'compound']],
    ['a script that calls another one', 'SIGKILL', 'nested', ['npm', 'run', '--silent', 'nested']],
  ] as const)('by %s stops after the end of its job when that is gone by %s', async (_how, signal, queue, command) => {
    const { launcher, log, id, workerPid } = await begin(queue, command, 2_500)
    launcher.kill(signal)
    await ended(launcher)
    await gone(workerPid)
    expect(log.join('\n')).toMatch(/npm or npx that started this worker is gone/)
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, finished_at: expect.any(Date) })
    expect(await world.sql(`SELECT FROM good_job_processes WHERE (state ->> 'pid')::int = $1`, [workerPid])).toEqual([])
  })

  test.each(['nohup', 'setsid'])('and that %s sent into the background continues without npm', async (queue) => {
    const { launcher, id, workerPid } = await begin(queue, ['npm', 'run', '--silent', queue], 3_000)
    launcher.kill('SIGTERM')
    await ended(launcher)
    try {
      await until(async () => (await world.job(id)).finished_at !== null, 'the job has ended')
      const next = await enqueue(TimedJob, { queue }, 1)
      await until(async () => (await world.job(next)).finished_at !== null, 'the next job has ended')
    } finally {
      process.kill(workerPid, 'SIGTERM')
      await gone(workerPid)
    }
  })
})
