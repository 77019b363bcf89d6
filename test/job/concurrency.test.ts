import { describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import {
  enqueueRulesOf,
  hasEnqueueRules,
  hasPerformRules,
  hasStaticPerformRules,
  keyOfNewJob,
  performRulesOf,
  performRulesOfRow,
} from '../../src/job/concurrency/evaluation.ts'
import type { ConcurrencyOptions } from '../../src/job/concurrency/rules.ts'
import { ALL, classWith, type Declared, jobWith, key, label, wrong } from './rule-jobs.ts'

describe('the rules of an enqueue', () => {
  test.each<[string, Declared, unknown]>([
    ['E01 none', {}, []],
    ['E02 a control', { control: { totalLimit: 1, key: 'k' } }, [[key('k'), 1, false]]],
    ['a control without a key', { control: { totalLimit: 1 } }, [[key('VJob'), 1, false]]],
    ['E07 an enqueueLimit', { control: { enqueueLimit: 1, key: 'k' } }, [[key('k'), 1, true]]],
    ['E12 the limit 0', { control: { totalLimit: 0, key: 'k' } }, [[key('k'), 0, false]]],
    ['E13 a function returns -1', { control: { totalLimit: () => -1, key: 'k' } }, []],
    ['a function returns NaN', { control: { totalLimit: () => Number.NaN, key: 'k' } }, []],
    ['a function returns infinity', { control: { totalLimit: () => Number.POSITIVE_INFINITY, key: 'k' } }, []],
    ['E14 a function returns a text', { control: { totalLimit: wrong(() => '1'), key: 'k' } }, []],
    ['E15 a fraction', { control: { totalLimit: 1.5, key: 'k' } }, [[key('k'), 1.5, false]]],
    ['E16 a blank key', { control: { totalLimit: 0, key: () => ' ' } }, []],
    ['E17 a function for the key', { control: { totalLimit: 1, key: () => 'user-7' } }, [[key('user-7'), 1, false]]],
    ['E18 a number as the key', { control: { totalLimit: 1, key: 5 } }, [[key('5'), 1, false]]],
    ['E22 a label', { labels: ['a'], rules: [{ label: 'a', totalLimit: 1 }] }, [[label('a'), 1, false]]],
    ['a label that the job has not', { labels: ['b'], rules: [{ label: 'a', totalLimit: 1 }] }, []],
    ['a label in blanks', { labels: ['a'], rules: [{ label: ' a\n', totalLimit: 1 }] }, [[label('a'), 1, false]]],
    ['E25 a blank label', { labels: ['a'], rules: [{ label: () => '  ', totalLimit: 0 }] }, []],
    ['E26 neither label nor key', { rules: [{ totalLimit: 1 }] }, [[ALL, 1, false]]],
    ['a key of a rule', { rules: [{ key: 'x', totalLimit: 1 }] }, [[key('x'), 1, false]]],
    ['a key of a rule that is null', { rules: [{ key: () => null, totalLimit: 1 }] }, []],
    [
      'E32 a function for the limit',
      { labels: ['a'], rules: [{ label: 'a', totalLimit: () => 1 }] },
      [[label('a'), 1, false]],
    ],
    [
      'E34 a control and a rule',
      { labels: ['a'], control: { totalLimit: 5, key: 'k' }, rules: [{ label: 'a', totalLimit: 1 }] },
      [
        [key('k'), 5, false],
        [label('a'), 1, false],
      ],
    ],
    ['E39 only a performLimit', { labels: ['a'], rules: [{ label: 'a', performLimit: 0 }] }, []],
    ['E44 a number as the label', { labels: ['5'], rules: [{ label: 5, totalLimit: 1 }] }, [[label('5'), 1, false]]],
    [
      'an enqueueLimit that returns null leaves totalLimit',
      { control: { enqueueLimit: () => null, totalLimit: 3, key: 'k' } },
      [[key('k'), 3, true]],
    ],
  ])('%s', (_title, declared, expected) => {
    const rules = enqueueRulesOf(jobWith(declared))
    expect(rules.map(({ scope, limit, excludesRunning }) => [scope, limit, excludesRunning])).toEqual(expected)
  })

  test('E35 E42 throttles are a count and seconds', () => {
    const rule = { label: 'a', totalLimit: 3, enqueueThrottle: [3, 60] } as const
    expect(enqueueRulesOf(jobWith({ labels: ['a'], rules: [rule] }))).toEqual([
      { scope: label('a'), limit: 3, excludesRunning: false, throttle: { count: 3, seconds: 60 } },
    ])
  })

  test.each<[string, unknown]>([
    ['null', null],
    ['a number', 5],
    ['three numbers', [1, 2, 3]],
  ])('a function for a throttle that returns %s is ignored, as in Ruby', (_title, value) => {
    expect(enqueueRulesOf(jobWith({ control: { enqueueThrottle: wrong(() => value), key: 'k' } }))).toEqual([])
  })

  test.each<[string, ConcurrencyOptions, string]>([
    [
      'E19 a key that is a list',
      { totalLimit: 1, key: wrong(() => ['a']) },
      "Concurrency key must be a string, a finite number, a boolean, a Date or null; was [ 'a' ]",
    ],
    ['a key that is undefined', { totalLimit: 1, key: wrong(() => undefined) }, 'was undefined'],
    ['a key that is NaN', { totalLimit: 1, key: () => Number.NaN }, 'was NaN'],
    ['a key with U+0000', { totalLimit: 1, key: () => 'a\0b' }, 'must not contain the character U+0000'],
    ['an async key', { totalLimit: 1, key: wrong(async () => 'a') }, 'must not be async: the key was a promise'],
    ['an async limit', { totalLimit: wrong(async () => 1), key: 'k' }, 'must not be async: the limit was a promise'],
    ['an async throttle', { enqueueThrottle: wrong(async () => [1, 2]), key: 'k' }, 'the throttle was a promise'],
    [
      'a throttle without a number',
      { enqueueThrottle: wrong(() => [1, '60']), key: 'k' },
      "A throttle must be [count, seconds], such as [10, 60]; a function returned [ 1, '60' ]",
    ],
    ['a throttle of no time', { enqueueThrottle: () => [1, 0], key: 'k' }, 'a function returned [ 1, 0 ]'],
  ])('%s throws TypeError', (_title, control, message) => {
    const job = jobWith({ control })
    expect(() => enqueueRulesOf(job)).toThrow(TypeError)
    expect(() => enqueueRulesOf(job)).toThrow(message)
  })

  test('a label that is an object throws TypeError', () => {
    const job = jobWith({ rules: [{ label: wrong(() => ({})), totalLimit: 1 }] })
    expect(() => enqueueRulesOf(job)).toThrow('Concurrency label must be a string, a finite number or null; was {}')
  })

  test('an error thrown by a function of a rule is rethrown', () => {
    const job = jobWith({
      control: {
        totalLimit: 1,
        key: () => {
          throw new RangeError('no such account')
        },
      },
    })
    expect(() => enqueueRulesOf(job)).toThrow(new RangeError('no such account'))
  })

  test('the functions of a rule get the job as this and as their argument', () => {
    class MailJob extends Job {
      static {
        this.concurrencyRule({
          label(job) {
            return this === job ? `user-${this.arguments[0]}` : 'another'
          },
          applyLabel: true,
          totalLimit: (job) => job.arguments[1].max,
        })
      }
      perform(_userId: number, _options: { max: number }) {}
    }
    expect(enqueueRulesOf(new MailJob(7, { max: 3 }))).toMatchObject([{ scope: label('user-7'), limit: 3 }])
  })
})

describe('the rules of a start', () => {
  const control: ConcurrencyOptions = { key: 'k', totalLimit: 5, performLimit: 2, performThrottle: [3, 60] }

  test('use performLimit, or totalLimit if it is missing', () => {
    expect(performRulesOf(jobWith({ control }))).toEqual([
      { scope: key('k'), limit: 2, throttle: { count: 3, seconds: 60 } },
    ])
    expect(performRulesOf(jobWith({ control: { key: 'k', totalLimit: 5 } }))).toMatchObject([{ limit: 5 }])
    expect(performRulesOf(jobWith({ control: { key: 'k', enqueueLimit: 5 } }))).toEqual([])
  })

  test('P38 use the key of the row; without one the key is computed', () => {
    const job = jobWith({ control: { key: () => 'computed', performLimit: 1 } })
    expect(performRulesOf(job)).toMatchObject([{ scope: key('computed') }])
    const stored = jobWith({ control: { key: () => 'computed', performLimit: 1 } })
    stored.concurrencyKey = 'stored'
    expect(performRulesOf(stored)).toMatchObject([{ scope: key('stored') }])
  })

  test('P43 use the labels of the row, not those of the class', () => {
    const jobClass = classWith({ labels: ['a'], rules: [{ label: 'a', performLimit: 1 }] })
    expect(performRulesOfRow(jobClass, { labels: null, concurrency_key: null })).toEqual([])
    expect(performRulesOfRow(jobClass, { labels: [' a '], concurrency_key: null })).toMatchObject([
      { scope: label('a') },
    ])
  })

  test('are the same from the columns as from the job', () => {
    const jobClass = classWith({
      control,
      labels: ['a'],
      rules: [
        { label: 'a', performLimit: 1 },
        { label: 'b', performLimit: 1 },
        { performLimit: 9 },
        { key: 'x', performThrottle: [1, 1] },
        { label: 'a', enqueueLimit: 1 },
      ],
    })
    const job = new jobClass()
    const row = { labels: job.labels, concurrency_key: keyOfNewJob(job) }
    expect(performRulesOfRow(jobClass, row)).toEqual(performRulesOf(job))
    expect(performRulesOf(job).map(({ scope }) => scope)).toEqual([key('k'), label('a'), ALL, key('x')])
    expect(performRulesOfRow(jobClass, { ...row, concurrency_key: null })).toEqual(performRulesOf(job))
  })

  test('use the class name as the key for a row without a key, if the control has no key either', () => {
    const jobClass = classWith({ control: { performLimit: 1 } })
    expect(performRulesOfRow(jobClass, { labels: null, concurrency_key: null })).toMatchObject([{ scope: key('VJob') }])
    expect(performRulesOfRow(jobClass, { labels: null, concurrency_key: ' ' })).toEqual([])
  })
})

test.each<[string, Declared, { enqueue: boolean; perform: boolean; isStatic: boolean; isStaticWithKey?: boolean }]>([
  ['nothing', {}, { enqueue: false, perform: false, isStatic: true }],
  ['a key', { control: { key: 'k' } }, { enqueue: false, perform: false, isStatic: true }],
  ['totalLimit', { control: { totalLimit: 1 } }, { enqueue: true, perform: true, isStatic: true }],
  ['enqueueLimit', { control: { enqueueLimit: () => 1 } }, { enqueue: true, perform: false, isStatic: true }],
  ['enqueueThrottle', { rules: [{ enqueueThrottle: [1, 1] }] }, { enqueue: true, perform: false, isStatic: true }],
  ['performLimit', { rules: [{ performLimit: 1 }] }, { enqueue: false, perform: true, isStatic: true }],
  ['performThrottle', { rules: [{ performThrottle: [1, 1] }] }, { enqueue: false, perform: true, isStatic: true }],
  [
    'a function for the limit',
    { rules: [{ performLimit: () => 1 }] },
    { enqueue: false, perform: true, isStatic: false },
  ],
  [
    'a function for the throttle',
    { rules: [{ performThrottle: () => null }] },
    { enqueue: false, perform: true, isStatic: false },
  ],
  [
    'a function for the label',
    { rules: [{ label: () => 'a', performLimit: 1 }] },
    { enqueue: false, perform: true, isStatic: false },
  ],
  [
    'a function for the key of a rule',
    { rules: [{ key: () => 'a', performLimit: 1 }] },
    { enqueue: false, perform: true, isStatic: false },
  ],
  [
    'a function for the key of a control',
    { control: { key: () => 'a', performLimit: 1 } },
    { enqueue: false, perform: true, isStatic: false, isStaticWithKey: true },
  ],
])('a class with %s', (_title, declared, { enqueue, perform, isStatic, isStaticWithKey = isStatic }) => {
  const jobClass = classWith(declared)
  expect(hasEnqueueRules(jobClass)).toBe(enqueue)
  expect(hasPerformRules(jobClass)).toBe(perform)
  expect(hasStaticPerformRules(jobClass)).toBe(isStatic)
  expect(hasStaticPerformRules(jobClass, { concurrency_key: null })).toBe(isStatic)
  expect(hasStaticPerformRules(jobClass, { concurrency_key: 'stored' })).toBe(isStaticWithKey)
})
