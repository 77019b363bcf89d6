import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { inTurn } from '../support/clean-up.ts'
import { Cli, runCli, runJson } from '../support/cli.ts'
import { openWorld, until } from '../support/harness.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/jobs')
const MODULE = join(FIXTURES, 'cron-jobs.mjs')

const world = await openWorld()
afterAll(() => world.close())
afterEach(inTurn(() => world.sql('TRUNCATE good_jobs, good_job_settings, good_job_processes')))

const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runCli(['cron', ...args], { env: { DATABASE_URL: world.url, ...env }, cwd: FIXTURES })
const json = <T>(...args: string[]) => runJson<T>(world.url, 'cron', ...args)

describe('good-job cron', () => {
  test('list prints the entries of the modules: next instants, last run, on or off and by whom', async () => {
    const { stdout, code } = await run(['list', MODULE])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^tick +\* \* \* \* \* \* +UTC +TickJob +enabled +– +20\d\d-/m)
    expect(stdout).toMatch(/^yearly +0 0 1 1 \* Europe\/Berlin +Europe\/Berlin +Ruby::YearlyJob +disabled +–/m)
  })

  test('run enqueues, enable and disable switch, and list --json shows it', async () => {
    const ran = await json<{ job_id: string; job_class: string }>('run', 'tick', MODULE)
    expect(ran).toMatchObject({ key: 'tick', job_class: 'TickJob', queue_name: 'default' })
    expect(await json('disable', 'tick', MODULE)).toEqual({ key: 'tick', is_enabled: false })
    expect((await run(['enable', 'yearly', MODULE])).stdout).toBe('yearly is enabled for all workers.\n')
    const [tick, yearly] = await json<Record<string, unknown>[]>('list', MODULE)
    expect(tick).toMatchObject({
      is_enabled: false,
      enabled_by: 'switch',
      last_run: { job_id: ran.job_id, state: 'queued' },
    })
    expect(yearly).toMatchObject({ is_enabled: true, enabled_by: 'switch', zone: 'Europe/Berlin' })
    // A key that has left a row or a setting needs no module.
    expect((await run(['disable', 'yearly'])).code).toBe(0)
  })

  test('reads GOOD_JOB_CRON without modules, and --cron beside them', async () => {
    const entries = '{"env":{"cron":"0 6 * * *","class":"Ruby::A"}}'
    const keys = async (args: string[], env = {}) =>
      (JSON.parse((await run(['list', '--json', ...args], env)).stdout) as { key: string }[]).map(({ key }) => key)
    expect(await keys([], { GOOD_JOB_CRON: entries })).toEqual(['env'])
    expect(await keys(['--cron', entries, MODULE], { GOOD_JOB_CRON: '{"other":{}}' })).toEqual([
      'tick',
      'yearly',
      'env',
    ])
  })

  test('next prints instants without a database', async () => {
    const args = ['next', '30 2 * * *', '--zone', 'Europe/Berlin', '--count', '3']
    const { stdout, code } = await run(args, { DATABASE_URL: undefined })
    expect(code).toBe(0)
    expect(stdout.trim().split('\n')).toHaveLength(3)
    expect(stdout).toMatch(/^20\d\d-\d\d-\d\dT0[01]:30:00\.000Z {2}20\d\d-\d\d-\d\d 02:30:00 Europe\/Berlin$/m)
    const { next, zone } = JSON.parse((await run([...args, '--json'])).stdout) as { next: string[]; zone: string }
    expect([next.length, zone]).toEqual([3, 'Europe/Berlin'])
  })

  test.each<[string, string[], RegExp]>([
    ['a schedule that is none', ['next', 'whenever'], /"whenever"/],
    [
      'two entries with one key',
      ['list', MODULE, './more-cron.mjs'],
      /two cron entries have the key "tick": one of .*cron-jobs\.mjs, one of \.\/more-cron\.mjs/,
    ],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stderr } = await run(args)
    expect(stderr).toMatch(message)
    expect(code).not.toBe(0)
  })

  test('run refuses an unknown key with a suggestion', async () => {
    const { code, stderr } = await run(['run', 'tock', MODULE])
    expect(stderr).toContain('there is no cron entry "tock": did you mean tick?')
    expect(code).toBe(1)
  })
})

describe('good-job start', () => {
  const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    new Cli(['start', MODULE, ...args], { env: { DATABASE_URL: world.url, ...env } })

  test('--enable-cron enqueues and runs jobs on their seconds until SIGTERM, and publishes that its cron is on', async () => {
    await using worker = start(['--enable-cron'])
    await worker.says(/ready: .*, cron: tick, yearly\n/)
    await worker.says(/tick [\w-]+\ntick/)
    const [row] = await world.sql<{ on: boolean }>(
      `SELECT (state->>'cron_enabled')::bool AS on FROM good_job_processes`,
    )
    expect(row).toEqual({ on: true })
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(0)
    const rows = await world.sql('SELECT cron_at, created_at FROM good_jobs ORDER BY cron_at')
    for (const { cron_at: at, created_at: created } of rows as Record<string, Date>[]) {
      expect(at?.getMilliseconds()).toBe(0)
      expect(created?.getTime()).toBeGreaterThanOrEqual(at?.getTime() ?? Number.NaN)
    }
  })

  test('GOOD_JOB_ENABLE_CRON does the same, --no-enable-cron wins over it, and exported entries over GOOD_JOB_CRON', async () => {
    await using on = start(['--json'], { GOOD_JOB_ENABLE_CRON: '1', GOOD_JOB_CRON: '{}' })
    await on.says(/"cron_keys":\["tick","yearly"\]/)
    await on.says(/GOOD_JOB_CRON is ignored/)
    await until(async () => (await world.sql('SELECT FROM good_jobs')).length > 0, 'a job')
    await using off = start(['--no-enable-cron', '--json'], { GOOD_JOB_ENABLE_CRON: '1' })
    const [line] = await off.says(/^\{.*ready.*$/m)
    expect(line).not.toContain('cron_keys')
  })

  test('--subprocesses 2 --enable-cron enqueues in the subprocess with number 0 only', async () => {
    await using worker = start(['--enable-cron', '--subprocesses', '2'])
    await worker.says(/ready: .*2 subprocesses/)
    const rows = await world.sql(
      `SELECT state->>'proctitle' AS title, (state->>'cron_enabled')::bool AS on FROM good_job_processes ORDER BY title`,
    )
    expect(rows).toEqual([
      { title: 'good_job subprocess 0', on: true },
      { title: 'good_job subprocess 1', on: false },
    ])
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(0)
  })

  test('warns that a graceful restart period has no effect where finished jobs are not kept', async () => {
    await using worker = start([
      '--enable-cron',
      '--cron-graceful-restart-period',
      '60',
      '--preserve-job-records',
      'false',
    ])
    await worker.says(/cronGracefulRestartPeriod is ignored because preserveJobRecords is false/)
  })
})
