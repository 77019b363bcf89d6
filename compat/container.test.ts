import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { type AppFolder, makeAppFolder, TIMED_JOBS } from '../test/support/app-folder.ts'
import { inTurn } from '../test/support/clean-up.ts'
import { cleanEnvironment } from '../test/support/cli.ts'
import { enqueue, jobClass, openWorld, type World } from '../test/support/harness.ts'
import { describeWith } from './support/with-tools.ts'

const TimedJob = jobClass('TimedJob', () => undefined)

describeWith('pidNamespace')('the first process of a container', () => {
  let world: World
  let app: AppFolder
  let container: ChildProcess
  beforeAll(async () => {
    world = await openWorld()
    app = await makeAppFolder(inject('packageFolder'), { 'jobs.js': TIMED_JOBS })
  })
  afterAll(
    inTurn(
      () => container.kill('SIGKILL'),
      () => app[Symbol.asyncDispose](),
      () => world.close(),
    ),
  )

  test('started by the command in docs/operations.md lets its job end after SIGTERM', async () => {
    const docs = await readFile(new URL('../docs/operations.md', import.meta.url), 'utf8')
    const command = JSON.parse(/^CMD (\[.*\])$/m.exec(docs)?.[1] ?? '[]') as string[]
    container = spawn('unshare', ['--pid', '--fork', '--kill-child', '--mount-proc', ...command], {
      cwd: app.path,
      env: { ...cleanEnvironment(), DATABASE_URL: world.url },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const lines: string[] = []
    const exited = once(container, 'exit')
    const started = new Promise<void>((resolve) => {
      if (container.stdout === null) throw new Error('spawned without a pipe')
      createInterface({ input: container.stdout }).on('line', (line) => {
        lines.push(line)
        if (line.startsWith('started')) resolve()
      })
    })
    const id = await enqueue(TimedJob, {}, 2_000)
    await Promise.race([started, exited])
    expect(lines[0]).toMatch(/^good-job ready: pid 1,/)
    process.kill(await firstProcessOf(container), 'SIGTERM')
    expect(await exited).toEqual([0, null])
    expect(lines.slice(1)).toEqual([`started ${id}`, `ended ${id}`])
    expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, finished_at: expect.any(Date) })
    expect(await world.sql('SELECT FROM good_job_processes')).toEqual([])
  })
})

/** The outside pid of the process with pid 1 inside the container. */
const firstProcessOf = async ({ pid }: ChildProcess): Promise<number> =>
  Number(await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8'))
