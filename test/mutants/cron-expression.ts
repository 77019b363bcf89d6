import type { Mutant } from './mutant.ts'

const CLOCKS = 'test/cron/expression-clocks.test.ts'
const REFUSALS = 'test/cron/expression-refusals.test.ts'
const VECTORS = 'test/cron/expression-vectors.test.ts'

/** An entry has the same instants as in Ruby, so that both sides enqueue each occurrence once. */
export const CRON_EXPRESSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'the start of a calculation is no occurrence',
    file: 'src/cron/expression/search.ts',
    text: 'second === from.second ? { second: second + 1 } : candidateAfter(schedule, time)',
    replacement: 'candidateAfter(schedule, time)',
    // The properties would repeat one instant for ever.
    tests: { [CLOCKS]: ['0 * * * * after 2026-11-01T05:00:01.200Z'], [VECTORS]: [] },
  },
  {
    name: 'when the clocks are set back, a start within the second of the first passage leaves out the second one',
    file: 'src/cron/expression/search.ts',
    text: 'else if (time.wall === from.wall && time.offset !== from.offset) from = time',
    replacement: '',
    tests: { [CLOCKS]: ['0 * * * * after 2026-11-01T05:00:00Z', '0 * * * * after 2026-11-01T05:00:00.400Z'] },
  },
  {
    name: 'that rule reads the start in the zone of the process',
    file: 'src/cron/expression/search.ts',
    text: 'wall: start + zones.process.offsetAt(start)',
    replacement: 'wall: start + zones.own.offsetAt(start)',
    tests: { [CLOCKS]: ['in a process in UTC: 0 * * * * America/New_York after', 'in a process in UTC: 30 5 * * *'] },
  },
  {
    name: 'where Ruby raises, the occurrence is skipped and the entry goes on',
    file: 'src/cron/expression/search.ts',
    text: 'if (!(error instanceof UncertainMidnight)) throw error',
    replacement: 'throw error',
    tests: { [CLOCKS]: ['in America/Havana "0 0 15 * *" after'], [VECTORS]: [] },
  },
  {
    name: 'the last day of a month is that of 24 hours before the next month',
    file: 'src/cron/expression/matching.ts',
    text: 'time.later(nextMonth - time.second - DAY).day',
    replacement: 'time.later(nextMonth - time.second - 1).day',
    tests: { [CLOCKS]: ['0 0 L * * after 2024-03-20T12:00:00Z'] },
  },
  {
    name: 'a day without 24 hours still begins at midnight',
    file: 'src/cron/expression/matching.ts',
    text: 'if (next.hours === 0) return next.second',
    replacement: 'if (next.hours < 24) return next.second',
    tests: { [VECTORS]: [] },
  },
  {
    name: 'a day of the month and a weekday are alternatives, without "&"',
    file: 'src/cron/expression/matching.ts',
    text: 'return needsBothDays ? isRight',
    replacement: 'return (true as boolean) ? isRight',
    tests: { [VECTORS]: [] },
  },
  {
    name: 'a midnight that clocks show twice is uncertain',
    file: 'src/cron/expression/local-time.ts',
    text: "return seconds.length === 1 ? { kind: 'once'",
    replacement: "return seconds.length > 0 ? { kind: 'once'",
    tests: { [CLOCKS]: ['in America/Havana "0 0 15 * *" after'] },
  },
  {
    name: 'an expression that never fires is refused',
    file: 'src/cron/expression/cron-expression.ts',
    text: "cron.next(SOME_TIME) === undefined ? refuse('it never fires. Write a date that exists') : cron",
    replacement: 'cron',
    tests: { [REFUSALS]: ['what never fires 0 0 -31 2 *'] },
  },
  {
    name: 'a random value is refused',
    file: 'src/cron/expression/field-values.ts',
    text: 'if (element.isRandom) refuse(RANDOM)',
    replacement: 'element.text',
    tests: { [REFUSALS]: ['a random value, as each process would have its own 0~59 * * * *'] },
  },
  {
    name: 'bounds from both ends of the month are refused',
    file: 'src/cron/expression/field-values.ts',
    text: 'if (from < 0 && last > 0) refuse(mixedBounds(element))',
    replacement: 'if (from < 0 && last > 0) return undefined',
    tests: { [REFUSALS]: ['0 0 L-2 * *'] },
  },
  {
    name: 'a zone that only Intl knows is refused',
    file: 'src/cron/expression/zone.ts',
    text: '!SHORT_NAMES.test(name)',
    replacement: '(false as boolean)',
    tests: { [REFUSALS]: ['0 0 * * * PST'] },
  },
]
