import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MUTANTS } from './list.ts'
import type { Mutant } from './mutant.ts'
import { judge } from './verdict.ts'
import { type TestRun, withoutGuard } from './workshop.ts'

const ROOT = join(import.meta.dirname, '../..')

test('there are at least sixty guards, each with a name of its own', () => {
  const names = MUTANTS.map(({ file, name }) => `${file}: ${name}`)
  expect(names.length).toBeGreaterThanOrEqual(60)
  expect(new Set(names).size).toBe(names.length)
})

test.each(MUTANTS.map((mutant) => [`${mutant.file}: ${mutant.name}`, mutant] as const))(
  'the guard can be taken away, and its tests exist: %s',
  (_name, mutant) => {
    const source = readFileSync(join(ROOT, mutant.file), 'utf8')
    expect(withoutGuard(source, mutant)).not.toBe(source)
    const files = Object.keys(mutant.tests)
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  },
)

describeJudge('a mutant is caught when each named test turns red', { red: ['one', 'two'] }, 'caught')
describeJudge('a mutant survives when one of the named tests stays green', { red: ['one'] }, 'survived')
describeJudge(
  'a test that is red with the guard, too, shows nothing',
  { red: ['one', 'two'], before: ['one'] },
  'broken',
)
describeJudge('a test that does not exist shows nothing', { red: ['one', 'two'], titles: ['three'] }, 'broken')
describeJudge('a file that cannot be loaded shows nothing', { red: [], trouble: 'no such module' }, 'broken')

function describeJudge(
  name: string,
  given: { red: string[]; before?: string[]; titles?: string[]; trouble?: string },
  kind: string,
): void {
  test(name, () => {
    const run = (red: readonly string[], trouble?: string): TestRun => ({
      tests: ['one', 'two'].map((fullName) => ({ file: 'a.test.ts', fullName, isRed: red.includes(fullName) })),
      trouble,
      isTimedOut: false,
    })
    const mutant: Mutant = {
      ...{ name: 'a guard', file: 'a.ts', text: 'a', replacement: 'b' },
      tests: { 'a.test.ts': given.titles ?? ['one', 'two'] },
    }
    expect(judge(mutant, run(given.before ?? []), run(given.red, given.trouble)).kind).toBe(kind)
  })
}
