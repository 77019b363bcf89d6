import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseCron } from '../../src/cron/expression/cron-expression.ts'
import { ConfigurationError } from '../../src/errors.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/cron.md'), 'utf8')

/** The code in each of the first two columns of the tables below a heading. */
const rows = (heading: string): { first: string[]; second: string[] }[] => {
  const [, section = ''] = page.split(new RegExp(`^#+ ${heading}$`, 'm'))
  const [own = ''] = section.split(/^#+ /m)
  const lines = own.split('\n').filter((line) => /^\| `/.test(line))
  const code = (cell = ''): string[] => [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text)
  return lines.map((line) => {
    const [, first, second] = line.split(' | ').flatMap((cell, index) => (index === 0 ? ['', cell] : [cell]))
    return { first: code(first), second: code(second) }
  })
}

const zone = 'UTC'

describe('docs/cron.md', () => {
  const schedules = rows('Expressions').flatMap(({ first }) => first)
  const phrases = rows('English phrases').map(({ first: [phrase = ''], second: [fields = ''] }) => ({ phrase, fields }))
  const refused = rows('What is refused').flatMap(({ first }) => first)

  test('has schedules, phrases and refusals', () => {
    expect([schedules.length > 20, phrases.length > 12, refused.length > 15]).toEqual([true, true, true])
  })

  test.each(schedules)('%s is a schedule', (text) => {
    expect(parseCron(text, { zone }).next(new Date())).toBeInstanceOf(Date)
  })

  test.each(phrases)('$phrase stands for $fields', ({ phrase, fields }) => {
    expect(parseCron(phrase, { zone }).fields).toBe(fields)
  })

  test.each(refused)('%s is refused', (text) => {
    expect(() => parseCron(text, { zone })).toThrow(ConfigurationError)
  })
})
