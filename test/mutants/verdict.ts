import type { Mutant } from './mutant.ts'
import type { TestRun } from './workshop.ts'

/** What became of one mutant. 'broken': the list or the tests must be fixed before a result is known. */
export interface Verdict {
  readonly kind: 'caught' | 'survived' | 'broken'
  /** Why, where it was not caught. */
  readonly reason: string
  readonly red: readonly string[]
}

/** Judges the tests that ran without the guard; `unchanged` is what the same tests did with it. */
export const judge = ({ tests }: Mutant, unchanged: TestRun, changed: TestRun): Verdict => {
  const red = changed.tests.filter(({ isRed }) => isRed).map(({ fullName }) => fullName)
  if (changed.isTimedOut) return { kind: 'caught', reason: 'its tests never ended', red }
  if (changed.trouble !== undefined) return { kind: 'broken', reason: changed.trouble, red }
  for (const [file, titles] of Object.entries(tests)) {
    const ofFile = (run: TestRun) => run.tests.filter((test) => test.file === file)
    const wanted = titles.length > 0 ? titles : ['']
    for (const title of wanted) {
      const named = (run: TestRun) => ofFile(run).filter(({ fullName }) => fullName.includes(title))
      const before = named(unchanged)
      if (before.length === 0) return { kind: 'broken', reason: `${file} has no test "${title}"`, red }
      const already = before.find(({ isRed }) => isRed)
      if (already) return { kind: 'broken', reason: `with the guard it is red, too: ${already.fullName}`, red }
      if (!named(changed).some(({ isRed }) => isRed)) {
        return { kind: 'survived', reason: `still green: ${title === '' ? file : `${file}, ${title}`}`, red }
      }
    }
  }
  return { kind: 'caught', reason: '', red }
}
