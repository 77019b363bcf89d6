import { expect, test } from 'vitest'
import { type CronExpression, parseCron } from '../../src/cron/expression/cron-expression.ts'
import { ConfigurationError } from '../../src/errors.ts'
import { vectors } from '../support/vectors.ts'

interface Case {
  readonly cron: string
  readonly zone: string
  readonly valid: boolean
  readonly original?: string
  /** The occurrences after each instant; a list ends with "raises X" where Ruby's calculation raised. */
  readonly next?: Readonly<Record<string, readonly string[]>>
}

const PHRASES = 450
const FILES = { 'cron.json': 344, 'cron-extra.json': 167 }

const casesOf = (file: string): readonly Case[] => vectors<{ cases: Case[] }>(file).cases

const text = (date: Date | undefined): string | undefined => date?.toISOString().replace('.000Z', 'Z')

/** What this package does where Ruby raises is to skip: it finds a later occurrence, and says so. */
const isSkipped = (cron: CronExpression, after: string): boolean => cron.find(new Date(after)).isAfterSkip

const differences = ({ cron: expression, zone, original, next = {} }: Case): string[] => {
  const cron = parseCron(expression, { zone })
  const fields =
    cron.fields === original?.trim() || original?.startsWith('@') ? [] : [`stands for ${cron.fields}, not ${original}`]
  const instants = Object.entries(next).flatMap(([after, expected]) => {
    const calculated = expected.filter((each) => !each.startsWith('raises'))
    const found = cron.upcoming(new Date(after), calculated.length).map(text)
    const isLastSkipped = calculated.length === expected.length || isSkipped(cron, calculated.at(-1) ?? after)
    return isLastSkipped && found.join() === calculated.join() ? [] : [`after ${after} ${found}, not ${expected}`]
  })
  return [...fields, ...instants]
}

/** GoodJob takes these expressions, but each calculation raises, so no Ruby worker with them starts. */
const RAISES_ALWAYS = '0 0 * * 1%0'

const problemsOf = (each: Case): string[] => {
  const isRefused = !each.valid || each.cron === RAISES_ALWAYS
  try {
    const problems = differences(each)
    return isRefused ? ['is accepted'] : problems
  } catch (error) {
    return isRefused ? [] : [String(error)]
  }
}

test.each(Object.entries(FILES))('every case of %s has the instants that fugit calculated', (file, count) => {
  const cases = casesOf(file)
  expect(cases).toHaveLength(count)
  const problems = cases.flatMap((each) => problemsOf(each).map((problem) => `${each.cron} (${each.zone}): ${problem}`))
  expect(problems).toEqual([])
})

/** null: fugit reads no schedule, or raises. */
interface Phrase {
  readonly phrase: string
  readonly fields: string | null
}

test('each phrase of cron-phrases.json has the fields that fugit made of it', () => {
  const phrases = vectors<{ cases: Phrase[] }>('cron-phrases.json').cases
  const read = phrases.map(({ phrase }) => ({ phrase, fields: fieldsOrNull(phrase) }))
  expect(read).toEqual(phrases)
  expect(phrases.length).toBe(PHRASES)
})

const fieldsOrNull = (phrase: string): string | null => {
  try {
    return parseCron(phrase, { zone: 'UTC' }).fields
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    return null
  }
}
