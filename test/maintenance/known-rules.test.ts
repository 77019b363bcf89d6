import { describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { type PublishedRule, publishedRule, publishedRulesOf } from '../../src/job/concurrency/published.ts'
import {
  type RuledColumns,
  rulesOfJob,
  rulesOfScope,
  type SeenScope,
} from '../../src/maintenance/concurrency/known-rules.ts'

class ManyJob extends Job {
  static {
    this.controlConcurrencyWith({ key: () => 'tenant', totalLimit: 2, performThrottle: [10, 60] })
    this.concurrencyRule({ label: 'api', performLimit: () => 3 })
    this.concurrencyRule({ label: () => 'region', performLimit: 4 })
    this.concurrencyRule({ key: 'db', performThrottle: () => [1, 1] })
    this.concurrencyRule({ totalLimit: 50 })
    this.concurrencyRule({ label: 'enqueue-only', enqueueLimit: 1 })
  }
  perform(): void {}
}
class NamelessJob extends Job {
  static {
    this.controlConcurrencyWith({ performLimit: 1 })
  }
  perform(): void {}
}
const ruleOf = (changes: Partial<PublishedRule>): PublishedRule => ({
  job_class: 'ManyJob',
  counts: 'all',
  value: null,
  is_control: false,
  limit: null,
  throttle: null,
  ...changes,
})
const RULES = publishedRulesOf('ManyJob', ManyJob)
const WORKER_RULE: PublishedRule = { ...ruleOf({ counts: 'label', value: 'api' }), job_class: null, limit: 9 }

test('a worker publishes the rules for starts with their constants, and names what functions compute', () => {
  expect(RULES).toEqual([
    ruleOf({ counts: 'key', is_control: true, limit: 2, throttle: { count: 10, seconds: 60 } }),
    ruleOf({ counts: 'label', value: 'api', limit: 'computed' }),
    ruleOf({ counts: 'label', limit: 4 }),
    ruleOf({ counts: 'key', value: 'db', throttle: 'computed' }),
    ruleOf({ limit: 50 }),
  ])
  expect(publishedRulesOf('Former', NamelessJob)).toEqual([
    ruleOf({ job_class: 'Former', counts: 'key', value: 'NamelessJob', is_control: true, limit: 1 }),
  ])
  expect(publishedRulesOf('Job', Job)).toEqual([])
})

test('a published rule survives JSON, and what another version may publish is read without failing', () => {
  for (const rule of [...RULES, WORKER_RULE]) {
    expect(publishedRule(JSON.parse(JSON.stringify(rule)))).toEqual([rule])
  }
  expect([null, 7, 'x', [], {}, { counts: 'queue' }].flatMap(publishedRule)).toEqual([])
  expect(publishedRule({ counts: 'key', value: 7, limit: -1, throttle: [1, 2], job_class: {} })).toEqual([
    ruleOf({ job_class: null, counts: 'key' }),
  ])
})

const scopesOf = (job: Partial<RuledColumns>, rules: readonly PublishedRule[] = RULES): string[] =>
  rulesOfJob(rules, { job_class: 'ManyJob', labels: null, concurrency_key: null, ...job }).map(
    ({ claimKey, isAssumed }) => `${claimKey}${isAssumed ? '?' : ''}`,
  )

describe('the scopes that count a job', () => {
  test.each<[string, Partial<RuledColumns>, string[]]>([
    ['all and a constant key', {}, ['key:db', 'all']],
    ['its own key', { concurrency_key: 'tenant-7' }, ['key:tenant-7', 'key:db', 'all']],
    ['its labels, stripped', { labels: [' api ', 'x'] }, ['label:api', 'label:api?', 'label:x?', 'key:db', 'all']],
    ['none for another class', { job_class: 'OtherJob', labels: ['api'], concurrency_key: 'db' }, []],
  ])('%s', (_, job, scopes) => {
    expect(scopesOf(job)).toEqual(scopes)
  })

  test('of a rule of the configuration: every job with the label, whatever its class', () => {
    expect(scopesOf({ job_class: null, labels: ['api'] }, [WORKER_RULE])).toEqual(['label:api'])
    expect(scopesOf({ labels: ['x'] }, [WORKER_RULE])).toEqual([])
    const byKey = { ...WORKER_RULE, counts: 'key', value: 'k' } as const
    expect(scopesOf({ job_class: null, concurrency_key: 'k' }, [byKey])).toEqual(['key:k'])
    expect(scopesOf({ job_class: null, concurrency_key: 'x' }, [byKey])).toEqual([])
  })

  test('of a control without a key: the name of its class, unless the row has another key', () => {
    const rules = publishedRulesOf('NamelessJob', NamelessJob)
    expect(scopesOf({ job_class: 'NamelessJob' }, rules)).toEqual(['key:NamelessJob'])
    expect(scopesOf({ job_class: 'NamelessJob', concurrency_key: 'k' }, rules)).toEqual(['key:k'])
  })
})

describe('the limits of the rules that count a scope', () => {
  const SEEN: SeenScope = { claimKey: 'all', jobClasses: ['ManyJob'], isClaimed: false }
  test.each<[string, Partial<SeenScope>, (number | string | null)[]]>([
    ['all', {}, [50]],
    ['a constant label', { claimKey: 'label:api', jobClasses: [] }, ['computed', 9]],
    ['a constant label that a worker has counted', { claimKey: 'label:api', isClaimed: true }, ['computed', 4, 9]],
    ['a computed label that a worker has counted', { claimKey: 'label:x', isClaimed: true }, [4]],
    ['a label that no worker has counted', { claimKey: 'label:x' }, []],
    ['the key of a job', { claimKey: 'key:tenant-7' }, [2]],
    ['the key of a job of another class', { claimKey: 'key:tenant-7', jobClasses: ['OtherJob'] }, []],
  ])('%s', (_, scope, limits) => {
    expect(rulesOfScope([...RULES, WORKER_RULE], { ...SEEN, ...scope }).map(({ limit }) => limit)).toEqual(limits)
  })
})
