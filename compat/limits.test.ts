import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { inTurn } from '../test/support/clean-up.ts'
import { registerWorker } from '../torture/fleet.ts'
import { LEDGER_TABLES } from '../torture/ledger.ts'
import { KINDS, LIMITS } from '../torture/limited-jobs.ts'
import { type LimitedPlan, runLimitedCell } from '../torture/limits-cell.ts'
import { violationsOf } from '../torture/report.ts'
import { prepareRuns } from '../torture/runs.ts'
import { judge } from '../torture/verdict.ts'
import { type FleetWorker, isRuby, type Strategy, startWorker } from '../torture/worker-process.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { OUTPUT } from './support/program.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** The whole matrix, by hand: LIMITS_JOBS=2000 npx vitest run --config compat/vitest.config.ts compat/limits.test.ts */
const IS_WHOLE = process.env.LIMITS_JOBS !== undefined
const JOBS = Number(process.env.LIMITS_JOBS ?? 40)
const SEED = 1_450

/** Many more in Node than a scope has places. GoodJob loses most of its time to refusals when it has many more. */
const THREADS = { node: 10, ruby: 2 } as const

const FLEETS: Readonly<Record<string, readonly Strategy[]>> = {
  'Node only': ['node', 'deferred'],
  'Node beside Ruby on advisory': ['node', 'advisory', 'advisory'],
  'Node beside Ruby on skiplocked': ['node', 'skiplocked', 'skiplocked'],
  'Node beside Ruby on hybrid': ['deferred', 'hybrid', 'hybrid'],
  'Ruby only, on advisory': ['advisory', 'advisory'],
  'Ruby only, on skiplocked': ['skiplocked', 'skiplocked'],
  'Ruby only, on hybrid': ['hybrid', 'hybrid'],
}
/** The fleets of a short run. */
const CHOICE = ['Node beside Ruby on advisory']

const WORDS = { Key: 'key', Label: 'label', Both: 'key and label' } as const

const CELLS = LIMITS.flatMap((limit) => KINDS.map((kind) => ({ kind, limit })))

const CLAIMS = 'SELECT count(*)::integer AS count FROM good_job_concurrency_claims'
const REFUSALS = `SELECT count(*)::integer AS count FROM good_job_executions WHERE error LIKE 'GoodJob::ActiveJobExtensions::Concurrency::%'`
const FORGET = `
TRUNCATE fleet_attempts, good_jobs, good_job_executions;
DROP TABLE IF EXISTS fleet_runs`

const countOf = async (pool: Pool, text: string): Promise<number> =>
  (await pool.query<{ count: number }>(text)).rows[0]?.count ?? Number.NaN

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

describeWithRuby(`limited classes of both languages, ${JOBS} jobs each`, () => {
  const fleets = Object.entries(FLEETS).filter(([name]) => IS_WHOLE || CHOICE.includes(name))
  describe.each(fleets)('%s', (fleet, strategies) => {
    let app: RailsApp
    let workers: FleetWorker[] = []

    beforeAll(async () => {
      app = await bootRails()
      await app.pool.query(LEDGER_TABLES)
      const logFolder = `${OUTPUT}/logs/limits`
      await mkdir(logFolder, { recursive: true })
      workers = await Promise.all(
        strategies.map((strategy, index) =>
          startWorker({
            name: `${strategy}-${index + 1}`,
            strategy,
            script: join(inject('packageFolder'), 'torture/torture/worker.js'),
            databaseUrl: app.databaseUrl,
            ledgerUrl: app.databaseUrl,
            pool: app.pool,
            threads: isRuby(strategy) ? THREADS.ruby : THREADS.node,
            logFolder,
          }),
        ),
      )
      await Promise.all(workers.map((worker) => registerWorker(app.pool, worker)))
    })

    afterAll(
      inTurn(
        () => {
          for (const worker of workers) worker.signal('SIGTERM')
        },
        () => Promise.all(workers.map(({ exited }) => exited)),
        () => app.stop(),
      ),
    )

    const enqueueInRuby = (plans: readonly LimitedPlan[]) =>
      app.run('Fleet::EnqueueJob.new.perform(args[:plans]); nil', { plans })

    for (const { kind, limit } of CELLS) {
      test(`by ${WORDS[kind]}, limit ${limit}: never more than the limit, none lost, no claim left`, async () => {
        const startedAt = performance.now()
        const { databaseUrl, pool } = app
        await runLimitedCell({ databaseUrl, pool, kind, limit, jobs: JOBS, seed: SEED, enqueueInRuby })
        const seconds = (performance.now() - startedAt) / 1_000
        await prepareRuns(pool)
        const verdict = await judge(pool, [])
        const { jobs, lost, attempts, scopes } = verdict
        console.table([
          {
            fleet,
            by: WORDS[kind],
            limit,
            jobs,
            'in Node': attempts.node ?? 0,
            'in Ruby': attempts.ruby ?? 0,
            'refused by Ruby': await countOf(pool, REFUSALS),
            'at a time': Math.max(...scopes.map(({ most }) => most)),
            'longest wait, s': Math.max(...scopes.map(({ longestWait }) => longestWait)),
            seconds: Math.round(seconds),
          },
        ])
        expect(violationsOf(verdict, [])).toEqual([])
        expect(sum(scopes.map(({ exceededByRuby }) => exceededByRuby))).toBe(0)
        expect({ jobs, lost }).toEqual({ jobs: JOBS, lost: 0 })
        await eventually('no claim is left', async () => (await countOf(pool, CLAIMS)) === 0)
        await pool.query(FORGET)
      }, 3_600_000)
    }
  })
})
