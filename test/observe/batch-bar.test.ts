import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { countsText, drawBar } from '../../src/observe/batch-bar.ts'

const NONE = { scheduled: 0, retried: 0, queued: 0, running: 0, succeeded: 0, discarded: 0 }
const bar = (jobs: Partial<typeof NONE>, width = 10) => stripVTControlCharacters(drawBar({ ...NONE, ...jobs }, width))

test.each<[Partial<typeof NONE>, string]>([
  [{}, '(no jobs)'],
  [{ succeeded: 3 }, '███'],
  [{ succeeded: 5, discarded: 1 }, '█████✖'],
  [{ succeeded: 1_000_000, discarded: 1 }, '█████████✖'],
  [{ succeeded: 50, running: 25, queued: 25 }, '██████▓▓░░'],
])('%j is drawn as %s', (jobs, drawn) => expect(bar(jobs)).toBe(drawn))

test('the bar shows every state that occurs, and is never longer than its width', () => {
  const count = fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000_000 }))
  fc.assert(
    fc.property(
      fc.record({
        scheduled: count,
        retried: count,
        queued: count,
        running: count,
        succeeded: count,
        discarded: count,
      }),
      (jobs) => {
        const states = Object.values(jobs).filter((each) => each > 0).length
        fc.pre(states > 0)
        const drawn = [...bar(jobs, 20)]
        expect(new Set(drawn).size).toBe(states)
        expect(drawn.length).toBeLessThanOrEqual(20)
      },
    ),
  )
})

test('each count is shown with its name', () => {
  expect(stripVTControlCharacters(countsText({ ...NONE, succeeded: 2, discarded: 1 }))).toBe('2 succeeded, 1 discarded')
  expect(countsText(NONE)).toBe('no jobs')
})
