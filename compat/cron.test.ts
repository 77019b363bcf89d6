import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Adapter } from '../dist/index.js'
import type { Page } from './dashboard.ts'
import { goodJob, type NodeWorker, startNodeWorker } from './node-worker.ts'
import type { RailsApp, RailsWeb, RailsWorker } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** The long form, run manually: CRON_SECONDS=120 npx vitest run --config compat/vitest.config.ts compat/cron.test.ts */
const SECONDS = Math.max(24, Number(process.env.CRON_SECONDS ?? 24))

/** Entries of config/application.rb in the Rails application. */
const ENTRIES = {
  secondly: { cron: '* * * * * *', class: 'CronJob', args: ['secondly'] },
  yearly: { cron: '0 0 1 1 *', class: 'CronJob', args: ['yearly'] },
}
const RUBY = { enableCron: true, env: { COMPAT_SECONDLY_CRON: '1' } }
const NODE = { jobs: 'shared', queues: '-node', options: ['--enable-cron', '--cron', JSON.stringify(ENTRIES)] } as const

interface CronRow {
  readonly cron_at: Date
  readonly late: number
}

let app: RailsApp
let ruby: RailsWorker[]
let node: NodeWorker[]

const SELECT_OCCURRENCES = `
  SELECT cron_at AT TIME ZONE 'UTC' AS cron_at, extract(epoch FROM created_at - cron_at)::float AS late
  FROM good_jobs WHERE cron_key = 'secondly' ORDER BY cron_at`

const occurrences = async (): Promise<CronRow[]> => (await app.pool.query<CronRow>(SELECT_OCCURRENCES)).rows

/** Resolves when the newest occurrence is this many seconds after a time. */
const untilPassed = (start: number, seconds: number) =>
  eventually(
    `${seconds} seconds of occurrences`,
    async () => ((await occurrences()).at(-1)?.cron_at.getTime() ?? 0) >= start + seconds * 1000,
    (SECONDS + 30) * 1000,
  )

/** Stops a process for four seconds, as a suspended machine does. */
const suspend = async ({ pid }: { readonly pid: number }, start: number, second: number): Promise<void> => {
  process.kill(pid, 'SIGSTOP')
  try {
    await untilPassed(start, second + 4)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

const countIn = (worker: NodeWorker, text: string): number => worker.program.words().split(text).length - 1

describeWithRuby('the same cron entries in Ruby and in Node', () => {
  beforeAll(async () => {
    app = await bootRails()
    ruby = await Promise.all([app.startWorker(RUBY), app.startWorker(RUBY)])
    node = await Promise.all([startNodeWorker(app, NODE), startNodeWorker(app, NODE)])
  }, 180_000)
  afterAll(() => app?.stop(), 60_000)

  const worker = <W>(workers: readonly W[], index: number): W => {
    const found = workers[index]
    if (found === undefined) throw new Error(`there is no worker ${index}`)
    return found
  }

  test(`every second of ${SECONDS} has exactly one row, with a SIGKILL and a SIGSTOP on each side`, {
    timeout: (SECONDS + 60) * 1000,
  }, async () => {
    const before = Date.now()
    const step = (SECONDS - 8) / 4
    await untilPassed(before, step)
    await worker(node, 1).kill()
    await untilPassed(before, 2 * step)
    await suspend(worker(node, 0), before, 2 * step)
    await untilPassed(before, 3 * step + 2)
    await worker(ruby, 1).kill()
    await untilPassed(before, 3 * step + 3)
    await suspend(worker(ruby, 0), before, 3 * step + 3)
    await untilPassed(before, SECONDS)
    const rows = await occurrences()
    const instants = rows.map(({ cron_at: at }) => at.getTime())
    const [first = 0, last = 0] = [instants[0], instants.at(-1)]
    const inNode =
      countIn(worker(node, 0), '"event":"cron_enqueued"') + countIn(worker(node, 1), '"event":"cron_enqueued"')
    const lateness = rows.map(({ late }) => late).sort((a, b) => a - b)
    console.table([
      {
        seconds: (last - first) / 1000 + 1,
        rows: rows.length,
        'of Node': inNode,
        'of Ruby': rows.length - inNode,
        'median lag, ms': Math.round((lateness[Math.floor(rows.length / 2)] ?? 0) * 1000),
        'longest lag, ms': Math.round((lateness.at(-1) ?? 0) * 1000),
      },
    ])
    expect(last - first).toBeGreaterThanOrEqual((SECONDS - 2) * 1000)
    expect(instants).toEqual(Array.from({ length: (last - first) / 1000 + 1 }, (_, second) => first + second * 1000))
    expect(lateness[0]).toBeGreaterThanOrEqual(0)
    expect(inNode).toBeGreaterThan(0)
    expect(rows.length - inNode).toBeGreaterThan(0)
  })

  test('the dashboard shows the runs of Node, its switches hold in Node, and those of Node show there', {
    timeout: 120_000,
  }, async () => {
    await worker(ruby, 0).kill()
    const web: RailsWeb = await app.startWeb({ COMPAT_SECONDLY_CRON: '1' })
    const visitor = web.visit()
    const adapter: Adapter = openAdapter(app)
    const alone = worker(node, 0)

    const enqueued = await eventually('Node enqueued a job by itself', async () => {
      const { rows } = await app.pool.query<{ id: string }>(
        `SELECT id FROM good_jobs WHERE cron_key = 'secondly' ORDER BY cron_at DESC LIMIT 1`,
      )
      const id = rows[0]?.id
      return id !== undefined && alone.program.words().includes(id) ? id : undefined
    })
    expect((await visitor.open('/cron_entries/secondly')).links.some((link) => link.endsWith(enqueued))).toBe(true)
    const list = await visitor.open('/cron_entries')
    // Of the entries, only this one has run.
    const lastRun = /title="Job ([\w-]+)"/.exec(list.html)?.[1] ?? 'none'
    await eventually('it is a run of Node', async () => alone.program.words().includes(lastRun))

    expect((await visitor.cron('secondly', 'disable')).notice).toMatch(/disabled/)
    await eventually('Node skips it', async () => countIn(alone, '"reason":"disabled"') >= 2)
    const silent = (await occurrences()).length
    await eventually('Node skips it again', async () => countIn(alone, '"reason":"disabled"') >= 4)
    expect(await occurrences()).toHaveLength(silent)

    const enabled = await goodJob(app, ['cron', 'enable', 'secondly'])
    expect(enabled).toMatchObject({ exitCode: 0 })
    await eventually('Node enqueues again', async () => (await occurrences()).length > silent)
    expect(actionsOf(await visitor.open('/cron_entries'), 'secondly')).toContain('disable')
    expect(await app.run(`GoodJob::CronEntry.find('secondly').enabled?`)).toBe(true)

    await adapter.cron.disable('secondly')
    expect(actionsOf(await visitor.open('/cron_entries'), 'secondly')).toContain('enable')
    expect((await visitor.cron('secondly', 'enable')).notice).toMatch(/enabled/)
    const { rows } = await app.pool.query('SELECT key, value FROM good_job_settings ORDER BY key')
    expect(rows).toEqual([
      { key: 'cron_keys_disabled', value: [] },
      { key: 'cron_keys_enabled', value: ['secondly'] },
    ])
    await web.stop()
  })
})

/** The buttons of an entry on the list of entries. */
const actionsOf = ({ controls }: Page, key: string): string[] =>
  controls.flatMap(({ action }) => {
    const { pathname } = new URL(action, 'http://127.0.0.1')
    return new RegExp(`/cron_entries/${key}/(\\w+)$`).exec(pathname)?.slice(1) ?? []
  })
