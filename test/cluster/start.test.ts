import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { inTurn } from '../support/clean-up.ts'
import { Cli, runCli } from '../support/cli.ts'
import { enqueue, jobClass, openWorld, until } from '../support/harness.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures')
const MODULE = join(FIXTURES, 'jobs/timed-jobs.mjs')
const [TimedJob, HangJob] = [jobClass('TimedJob', () => undefined), jobClass('HangJob', () => undefined)]

const world = await openWorld()
/** Subprocesses that a failed test left behind: nothing else would end them. */
const pids = new Set<number>()
afterAll(
  inTurn(
    () => [...pids].filter(isAlive).map((pid) => process.kill(pid, 'SIGKILL')),
    () => world.close(),
  ),
)

/** An entry that becomes due on no day of the tests. */
const CRON = {
  GOOD_JOB_ENABLE_CRON: 'true',
  GOOD_JOB_CRON: JSON.stringify({ rare: { cron: '0 0 29 2 *', class: 'ShortJob' } }),
}

interface Ready {
  readonly pid: number
  readonly subprocesses: readonly { index: number; pid: number; process_id: string; pools: unknown }[]
  readonly job_classes: readonly string[]
}

const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Cli =>
  new Cli(['start', MODULE, '--json', '--poll-interval', '1', ...args], { env: { DATABASE_URL: world.url, ...env } })

const ready = async (cli: Cli): Promise<Ready> => {
  const [line] = await cli.says(/^\{"status":"ready".*\}$/m)
  const parsed = JSON.parse(line) as Ready
  for (const { pid } of parsed.subprocesses) pids.add(pid)
  return parsed
}

/** A pid of the log lines of an event. */
const pidOf = async (cli: Cli, event: string, index: number, after = ''): Promise<number> => {
  const [, pid] = await cli.says(
    new RegExp(`"event":"${event}","subprocessPid":(?!${after || 'none'},)(\\d+),"index":${index},`),
  )
  pids.add(Number(pid))
  return Number(pid)
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
const titleOf = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
const processRow = (id: string) =>
  world.sql<{ state: { pid: number } }>('SELECT state FROM good_job_processes WHERE id = $1', [id])

/** The number of open connections of a process to the port of the test's Postgres. */
const connectionsOf = (pid: number): number => {
  const inodes = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
    } catch {
      return []
    }
  })
  const port = Number(new URL(world.url).port || 5432)
    .toString(16)
    .toUpperCase()
    .padStart(4, '0')
  const lines = ['tcp', 'tcp6'].flatMap((table) => readFileSync(`/proc/${pid}/net/${table}`, 'utf8').split('\n'))
  return lines.filter((line) => {
    const [, , remote = '', , , , , , , inode = ''] = line.trim().split(/\s+/)
    return remote.endsWith(`:${port}`) && inodes.includes(inode)
  }).length
}

describe.concurrent('good-job start --subprocesses', () => {
  test('runs processes with titles and rows of their own under a supervisor without a connection; one that is killed is replaced; SIGTERM drains', async () => {
    const env = {
      NODE_OPTIONS: `--require ${join(FIXTURES, 'loaded-modules.cjs')}`,
      GOOD_JOB_IDLE_TIMEOUT: '0.1',
      ...CRON,
    }
    await using cli = start(['--subprocesses', '2', '--queues', 'kill:2', '--probe-port', '0'], env)
    const { pid, subprocesses, job_classes } = await ready(cli)
    expect(pid).toBe(cli.pid)
    expect(job_classes).toEqual(['BlockJob', 'HangJob', 'ShortJob', 'TimedJob'])
    expect(subprocesses.map(({ index, pools }) => [index, pools])).toEqual(
      [0, 1].map((index) => [index, [{ queues: 'kill', max_threads: 2 }]]),
    )
    expect(titleOf(pid)).toBe('good_job supervisor [2 subprocesses]')
    for (const each of subprocesses) {
      expect(titleOf(each.pid)).toBe(`good_job subprocess ${each.index}`)
      const state = { pid: each.pid, cron_enabled: each.index === 0 }
      expect(await processRow(each.process_id)).toMatchObject([{ state }])
      expect(connectionsOf(each.pid)).toBeGreaterThan(1)
    }
    expect(connectionsOf(pid)).toBe(0)
    const [, port] = await cli.says(/"port":(\d+),"msg":"Answering probes"/)
    const probe = async (path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()
    expect([await probe('/status/started'), await probe('/status/connected')]).toEqual(['Started', 'Connected'])

    const killed = subprocesses[1]?.pid ?? 0
    process.kill(killed, 'SIGKILL')
    const next = await pidOf(cli, 'subprocess_start', 1, `${killed}`)
    const id = await enqueue(TimedJob, { queue: 'kill' }, 300)
    await cli.says(new RegExp(`started ${id}`))
    cli.signal('SIGTERM')
    const { code, stdout, stderr } = await cli.ended()
    expect(code).toBe(0)
    expect(stdout).toContain(`ended ${id}`)
    expect(await world.job(id)).toMatchObject({ finished_at: expect.any(Date), error: null, executions_count: 1 })
    expect(await processRow(subprocesses[0]?.process_id ?? '')).toEqual([])
    expect(stderr).toContain(`process ${pid} did not load pg`)
    expect(stderr).toContain(`process ${next} loaded pg`)
    expect(stderr).toContain('idleTimeout is ignored')
    expect(stderr.match(/Answering probes/g)).toHaveLength(1)
  })

  test('gives each group of queues a process; a second signal aborts the running jobs; the exit code is 0', async () => {
    const env = { GOOD_JOB_QUEUES: 'left:1;other|right:3', GOOD_JOB_SUBPROCESSES: '5' }
    await using cli = start(['--shutdown-timeout', '-1'], env)
    const { subprocesses } = await ready(cli)
    expect(subprocesses.map(({ pools }) => pools)).toEqual([
      [
        { queues: 'left', max_threads: 1 },
        { queues: 'other', max_threads: 5 },
      ],
      [{ queues: 'right', max_threads: 3 }],
    ])
    const id = await enqueue(HangJob, { queue: 'right' })
    await cli.says(new RegExp(`started ${id}`))
    expect(await world.job(id)).toMatchObject({ locked_by_id: subprocesses[1]?.process_id })
    // As a terminal does on Ctrl-C: the signal goes to each process, and the supervisor sends its own.
    for (const { pid } of subprocesses) process.kill(pid, 'SIGINT')
    cli.signal('SIGINT')
    await cli.says(/"event":"subprocess_shutdown","subprocessPid":\d+,"index":0,/)
    expect(isAlive(subprocesses[1]?.pid ?? 0)).toBe(true)
    cli.signal('SIGINT')
    const { code, stderr } = await cli.ended()
    expect(code).toBe(0)
    expect(stderr).toContain('subprocesses (5) is ignored')
    const again = stderr.split('\n').filter((line) => line.includes('Asked to stop again'))
    for (const { pid } of subprocesses) expect(again.filter((line) => line.includes(`"pid":${pid},`))).toEqual([])
    expect(await world.job(id)).toMatchObject({ finished_at: null, locked_by_id: null })
    await world.adapter.forceDiscardJob(id)
  })

  test('whose supervisor is killed: the processes notice, end after their running jobs, and leave no row', async () => {
    await using cli = start(['--subprocesses', '2', '--queues', 'orphan:1'])
    const { subprocesses } = await ready(cli)
    const id = await enqueue(TimedJob, { queue: 'orphan' }, 500)
    await cli.says(new RegExp(`started ${id}`))
    cli.signal('SIGKILL')
    await until(async () => subprocesses.every(({ pid }) => !isAlive(pid)), 'the subprocesses are gone')
    expect((await cli.ended()).stderr).toContain('Stopping because the supervisor is gone')
    expect(await world.job(id)).toMatchObject({ finished_at: expect.any(Date), error: null, locked_by_id: null })
    for (const { process_id } of subprocesses) expect(await processRow(process_id)).toEqual([])
  })

  test('SIGQUIT ends everything at once with exit code 0', async () => {
    await using cli = start(['--subprocesses', '1', '--queues', 'quit:1'])
    const { subprocesses } = await ready(cli)
    const id = await enqueue(HangJob, { queue: 'quit' })
    await cli.says(new RegExp(`started ${id}`))
    cli.signal('SIGQUIT')
    expect((await cli.ended()).code).toBe(0)
    expect(subprocesses.map(({ pid }) => isAlive(pid))).toEqual([false])
    await world.sql('UPDATE good_jobs SET finished_at = now() WHERE id = $1', [id])
  })

  test('calls the hooks of its module before each fork and in each process; an error of a hook is logged, and everything starts', async () => {
    const env = { GOOD_JOB_HOOKS: join(FIXTURES, 'hooks.mjs') }
    await using cli = start(['--subprocesses', '2', '--queues', 'hooks:1'], env)
    const { pid, subprocesses } = await ready(cli)
    cli.signal('SIGTERM')
    const { code, stdout, stderr } = await cli.ended()
    expect(code).toBe(0)
    for (const each of subprocesses) {
      expect(stdout).toContain(`before fork ${each.index} in ${pid}\n`)
      expect(stdout).toContain(`before boot ${each.index} in ${each.pid}\n`)
    }
    for (const name of ['beforeSupervisorFork', 'beforeSubprocessBoot']) {
      expect(stderr).toMatch(new RegExp(`"event":"worker_error","part":"hook ${name}","err":`))
    }
  })
})

describe.concurrent('good-job start --subprocesses with a mistake', () => {
  test.each<[string, string[], number, RegExp, string[]]>([
    ['a module that does not load', ['--subprocesses', '2'], 1, /^error: \.\/nope\.mjs does not load/, ['./nope.mjs']],
    ['a number that is none', ['--subprocesses', 'two'], 2, /--subprocesses: expected a whole number from 0/, [MODULE]],
    ['a negative number', ['--subprocesses', '-1'], 2, /--subprocesses: expected a whole number from 0/, [MODULE]],
    ['a wrong group of queues', ['--queues', 'a|b:x'], 2, /queues: expected a whole number.*"b:x"/, [MODULE]],
    [
      'hooks that are none',
      ['--subprocesses', '1', '--hooks', MODULE],
      1,
      /exports no hook: export a function/,
      [MODULE],
    ],
    ['the option of a subprocess', ['--subprocess', '{}'], 2, /only for the supervisor/, [MODULE]],
  ])('%s ends with the code and the message of a single process, once', async (_what, args, code, text, modules) => {
    const result = await runCli(['start', ...modules, ...args, '--log-level', 'silent'], {
      env: { DATABASE_URL: world.url },
    })
    expect(result.stderr).toMatch(text)
    expect(result.stderr.match(/error: /g)).toHaveLength(1)
    expect(result.code).toBe(code)
  })

  test('no database URL is refused by a subprocess, and the supervisor ends with its code', async () => {
    const { code, stderr } = await runCli(['start', MODULE, '--subprocesses', '2', '--log-level', 'silent'])
    expect(stderr).toMatch(/^error: no database: set DATABASE_URL[^\n]*\n$/)
    expect(code).toBe(2)
  })
})
