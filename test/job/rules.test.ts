import { describe, expect, test } from 'vitest'
import { ConfigurationError } from '../../src/errors.ts'
import { Job, type JobConstructor } from '../../src/job/base.ts'
import { enqueueRulesOf, keyOfNewJob, labelsOfNewJob } from '../../src/job/concurrency/evaluation.ts'
import type { ConcurrencyOptions, ConcurrencyRuleOptions } from '../../src/job/concurrency/rules.ts'
import { RubyDate, sym } from '../../src/serialize/values/ruby-values.ts'
import { classWith, type Declared, jobWith, key, wrong } from './rule-jobs.ts'

describe('the key that an enqueue stores', () => {
  test.each<[string, Declared, string | null]>([
    ['no declaration', {}, null],
    ['E01 a rule, but no key', { rules: [{ label: 'a', totalLimit: 1 }] }, 'VJob'],
    ['a control without a key', { control: {} }, 'VJob'],
    ['a text', { control: { key: ' k ' } }, ' k '],
    ['null', { control: { key: null } }, null],
    ['E16 a blank text of a function', { control: { key: () => ' ' } }, null],
    ['a number', { control: { key: 1.5 } }, '1.5'],
    ['a bigint', { control: { key: 10n ** 20n } }, '100000000000000000000'],
    ['true', { control: { key: true } }, 't'],
    ['false of a function', { control: { key: () => false } }, null],
    ['a Date', { control: { key: new Date('2024-02-29T12:34:56.789Z') } }, '2024-02-29 12:34:56 UTC'],
    ['a RubyDate', { control: { key: new RubyDate(2024, 2, 29) } }, '2024-02-29'],
    ['a RubySymbol', { control: { key: sym('mail') } }, 'mail'],
    ['10 kB', { control: { key: '🎉'.repeat(2500) } }, '🎉'.repeat(2500)],
  ])('%s', (_title, declared, expected) => {
    expect(keyOfNewJob(jobWith(declared))).toBe(expected)
  })

  test('is computed once per job', () => {
    let calls = 0
    const job = jobWith({ control: { key: () => `key-${++calls}`, totalLimit: 1 } })
    expect(enqueueRulesOf(job)).toMatchObject([{ scope: key('key-1') }])
    expect([keyOfNewJob(job), keyOfNewJob(job), job.concurrencyKey]).toEqual(['key-1', 'key-1', 'key-1'])
  })

  test('is the key that was set on the job, if any', () => {
    const job = jobWith({ control: { key: 'k', totalLimit: 1 } })
    job.concurrencyKey = 'mine'
    expect(keyOfNewJob(job)).toBe('mine')
    expect(enqueueRulesOf(job)).toMatchObject([{ scope: key('mine') }])
  })
})

describe('applyLabel', () => {
  const rules: ConcurrencyRuleOptions[] = [
    { label: () => 'u3', applyLabel: true, totalLimit: 1 },
    { label: 'other', totalLimit: 1 },
    { label: () => null, applyLabel: true },
  ]

  test('adds the label to those of the class', () => {
    expect(labelsOfNewJob(jobWith({ labels: ['own'], rules }))).toEqual(['own', 'u3'])
    expect(labelsOfNewJob(jobWith({ labels: ['u3'], rules }))).toEqual(['u3'])
  })

  test('E30 adds the label to those of set()', () => {
    expect(labelsOfNewJob(jobWith({ labels: ['own'], rules }).set({ labels: ['x'] }))).toEqual(['x', 'u3'])
  })

  test('adds nothing to labels that were assigned, as in Ruby', () => {
    const job = jobWith({ labels: ['own'], rules })
    job.labels = ['x']
    expect(labelsOfNewJob(job)).toEqual(['x'])
    expect(enqueueRulesOf(job)).toEqual([])
  })
})

describe('inheritance', () => {
  test('rules are appended, and the control is replaced', () => {
    class ParentJob extends Job {
      static override labels = ['p', 'c']
      static {
        this.controlConcurrencyWith({ key: 'parent', totalLimit: 1, performLimit: 1 })
        this.concurrencyRule({ label: 'p', totalLimit: 2 })
      }
      perform() {}
    }
    class ChildJob extends ParentJob {
      static {
        this.concurrencyRule({ label: 'c', totalLimit: 3 })
        this.controlConcurrencyWith({ key: 'child', totalLimit: 4 })
      }
    }
    class FreeJob extends ParentJob {
      static {
        this.controlConcurrencyWith({ key: null })
      }
    }
    const scopes = (jobClass: JobConstructor) =>
      enqueueRulesOf(new jobClass()).map(({ scope, limit }) => [scope.claimKey, limit])
    expect(scopes(ParentJob)).toEqual([
      ['key:parent', 1],
      ['label:p', 2],
    ])
    expect(scopes(ChildJob)).toEqual([
      ['key:child', 4],
      ['label:p', 2],
      ['label:c', 3],
    ])
    expect(scopes(FreeJob)).toEqual([['label:p', 2]])
    expect(keyOfNewJob(new FreeJob())).toBe(null)
  })
})

describe('a declaration is refused', () => {
  test.each<[string, unknown, string]>([
    [
      'limit -1',
      { totalLimit: -1 },
      'controlConcurrencyWith: totalLimit must be a number of at least 0, or a function; got -1',
    ],
    ['limit NaN', { enqueueLimit: Number.NaN }, 'enqueueLimit must be a number'],
    ['limit infinity', { performLimit: Number.POSITIVE_INFINITY }, 'performLimit must be a number'],
    ['limit as a text', { totalLimit: '1' }, "got '1'"],
    ['limit null', { totalLimit: null }, 'got null'],
    [
      'throttle as a number',
      { enqueueThrottle: 5 },
      'enqueueThrottle must be [count, seconds], such as [10, 60], or a function; got 5',
    ],
    ['throttle of three', { performThrottle: [1, 2, 3] }, 'performThrottle must be'],
    ['throttle of a negative count', { performThrottle: [-1, 2] }, 'performThrottle must be'],
    ['throttle of no time', { performThrottle: [1, 0] }, 'performThrottle must be'],
    [
      'E16 blank key',
      { totalLimit: 0, key: ' ' },
      "controlConcurrencyWith: key must be a text that is not blank, a finite number, true, a Date, or a function; got ' '",
    ],
    ['key of a wrong type', { totalLimit: 0, key: {} }, 'key must be a text'],
    ['key false', { key: false }, 'key must be a text'],
    ['key null with limits', { totalLimit: 0, key: null }, 'key is null, so its limits would count nothing'],
    ['unknown option', { totallimit: 1 }, 'did you mean totalLimit?'],
    ['snake case', { total_limit: 1 }, 'did you mean totalLimit?'],
    ['label', { label: 'a', totalLimit: 1 }, 'has no option "label"'],
    ['no options', undefined, 'controlConcurrencyWith takes options, such as { performLimit: 2 }; got undefined'],
  ])('of a control: %s', (_title, options, message) => {
    expect(() => classWith({ control: (options ?? wrong(1)) as ConcurrencyOptions })).toThrow(
      options === undefined ? 'takes options' : message,
    )
    expect(() => classWith({ control: (options ?? wrong(1)) as ConcurrencyOptions })).toThrow(ConfigurationError)
  })

  test.each<[string, unknown, string]>([
    [
      'blank label',
      { label: ' ', totalLimit: 1 },
      "concurrencyRule: label must be a text that is not blank, a finite number, or a function; got ' '",
    ],
    ['label of a wrong type', { label: true, totalLimit: 1 }, 'label must be a text'],
    ['label null', { label: null, totalLimit: 1 }, 'label must be a text'],
    ['label with U+0000', { label: 'a\0b', totalLimit: 1 }, 'label must be a text'],
    ['applyLabel without a label', { applyLabel: true, totalLimit: 1 }, 'concurrencyRule: applyLabel needs a label'],
    [
      'applyLabel of a wrong type',
      { label: 'a', applyLabel: 'yes', totalLimit: 1 },
      "applyLabel must be true or false, got 'yes'",
    ],
    [
      'label and key',
      { label: 'a', key: 'k', totalLimit: 1 },
      'a rule with a label ignores its key; leave one of them out',
    ],
    ['key null', { key: null, totalLimit: 1 }, 'key must be a text'],
    ['no limit', { label: 'a' }, 'concurrencyRule needs a limit or a throttle: one of totalLimit, enqueueLimit,'],
  ])('of a rule: %s', (_title, options, message) => {
    expect(() => classWith({ rules: [options as ConcurrencyRuleOptions] })).toThrow(ConfigurationError)
    expect(() => classWith({ rules: [options as ConcurrencyRuleOptions] })).toThrow(message)
  })
})

test('labels are stripped as Ruby strips them, which keeps a no-break space', () => {
  const job = jobWith({ rules: [{ label: 'a\u00a0', totalLimit: 1 }] })
  job.labels = ['\0 a\u00a0\n', '\u00a0']
  expect(job.labels).toEqual(['a\u00a0'])
  expect(enqueueRulesOf(job)).toHaveLength(1)
})
