import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { createDatabase } from '../test/support/postgres.ts'
import { runCell } from '../torture/cell.ts'
import { LEDGER_TABLES } from '../torture/ledger.ts'
import { prepareRuby } from '../torture/ruby.ts'
import type { Strategy } from '../torture/worker-process.ts'
import { OUTPUT } from './support/program.ts'
import { describeWithRuby } from './support/ruby.ts'

/** For 10,000 jobs run manually: FLEET_JOBS=10000 npx vitest run --config compat/vitest.config.ts compat/fleet-strategies.test.ts */
const JOBS = Number(process.env.FLEET_JOBS ?? 1_000)
const SEED = 1_450

/** Beside two processes in Node. */
const CELLS: Readonly<Record<string, readonly Strategy[]>> = {
  advisory: ['advisory', 'advisory'],
  skiplocked: ['skiplocked', 'skiplocked'],
  hybrid: ['hybrid', 'hybrid'],
  'advisory, skiplocked and hybrid': ['advisory', 'skiplocked', 'hybrid'],
}

const total = (pairs: readonly { unexplained: number; explained: number }[]): number =>
  pairs.reduce((sum, { unexplained, explained }) => sum + unexplained + explained, 0)

describeWithRuby(`two processes in Node beside Ruby workers, ${JOBS} jobs of both sides`, () => {
  for (const [name, ruby] of Object.entries(CELLS)) {
    test(`on ${name}: Node loses no job, starts none early and runs none twice at the same time [GJ-030, GJ-031, GJ-032]`, async () => {
      await prepareRuby()
      const database = await createDatabase()
      const pool = database.pool({ max: 4 })
      await pool.query(LEDGER_TABLES)
      await mkdir(`${OUTPUT}/logs/fleet`, { recursive: true })
      const { jobs, lost, spoilt, sharedAttempts, overlaps, repeated, early } = await runCell({
        databaseUrl: database.url,
        pool,
        strategies: ['node', 'node', ...ruby],
        jobs: JOBS,
        seed: SEED,
        script: join(inject('packageFolder'), 'torture/torture/worker.js'),
        logFolder: `${OUTPUT}/logs/fleet`,
      })
      const isInNode = ({ pair }: { pair: string }) => pair.includes('node')
      const row = {
        'Ruby workers on': name,
        jobs,
        'shared, in Node': sharedAttempts.node ?? 0,
        'in Ruby': sharedAttempts.ruby ?? 0,
        lost,
        'overlapping, with Node': total(overlaps.filter(isInNode)),
        'overlapping, Ruby only': total(overlaps.filter((pairs) => !isInNode(pairs))),
        'repeated, with Node': total(repeated.filter(isInNode)),
        'early in Node': early.node ?? 0,
        'early in Ruby': early.ruby ?? 0,
        'left discarded by Ruby': spoilt,
      }
      console.table([row])
      expect(lost).toBe(0)
      expect([...overlaps, ...repeated].filter(isInNode)).toEqual([])
      expect(early.node ?? 0).toBe(0)
      expect(sharedAttempts.node).toBeGreaterThan(JOBS / 10)
      expect(sharedAttempts.ruby).toBeGreaterThan(JOBS / 10)
      expect(jobs).toBeGreaterThanOrEqual(JOBS)
      await database.drop()
    }, 1_200_000)
  }
})
