import { afterAll, beforeAll, expect, test } from 'vitest'
import { cronCases } from './cron-cases.ts'
import { ASK_FUGIT, compare, type RubyAnswer } from './cron-differences.ts'
import type { RailsApp } from './rails-app.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const COUNT = Number(process.env.COMPAT_CRON_CASES ?? 120)
const SEED = Number(process.env.COMPAT_CRON_SEED ?? 17)
/** fugit needs 0.1 seconds for a case if the machine is busy. */
const TIMEOUT_MS = 60_000 + 1000 * COUNT

describeWithRuby('random cron expressions', () => {
  let app: RailsApp

  beforeAll(async () => {
    app = await bootRails()
  })

  afterAll(() => app.stop())

  test(
    'have the same occurrences as in Ruby, or are refused by both',
    async () => {
      const cases = cronCases(COUNT, SEED)
      const answers = await app.run<RubyAnswer[]>(ASK_FUGIT, { cases })
      const { agreements, refusals, differences } = compare(cases, answers)
      expect(differences, `COMPAT_CRON_SEED=${SEED}`).toEqual([])
      // Ruby takes an expression that never fires; its worker then does not start.
      expect([...refusals.keys()].filter((reason) => reason !== 'never fires')).toEqual([])
      expect(agreements).toBeGreaterThan(COUNT * 0.95)
      expect(answers.filter(({ kind }) => kind === 'cron').length).toBeGreaterThan(COUNT * 0.4)
    },
    TIMEOUT_MS,
  )
})
