import { describe, expect, test } from 'vitest'
import type { Options } from '../../src/configuration.ts'
import { makeSampleJob } from '../../src/cron/job.ts'
import { ConfigurationError } from '../../src/errors.ts'
import { kwargs } from '../../src/index.ts'
import { Job } from '../../src/job/base.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'
import { jobToData } from '../../src/job/serialization.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { jobClass } from '../support/harness.ts'

// Nothing here connects.
const databaseUrl = 'postgres://nobody@127.0.0.1:1/none'
const ReportJob = jobClass('ReportJob', () => undefined)
const registry = new JobRegistry().register(ReportJob)

const entriesOf = (options: Options) => new Adapter({ databaseUrl, registry, ...options }).cron.entries
const refusal = (cron: unknown, options: Options = {}): string => {
  try {
    entriesOf({ cron: cron as never, ...options })
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    return (error as Error).message
  }
  return 'accepted'
}

const daily = { cron: '0 6 * * *', class: 'ReportJob' }
const cyclic: unknown[] = []
cyclic.push(cyclic)

describe('a bad entry is refused with its key, its member and the way out', () => {
  test.each<[string, unknown, RegExp]>([
    ['no list of entries', [daily], /^cron: expected entries by their keys, such as \{ report:/],
    ['an entry that is none', { a: 'daily' }, /^cron: the entry "a" is not an object/],
    ['a blank key', { ' ': daily }, /^cron entry " ": its key is blank/],
    [
      'an unknown member',
      { a: { ...daily, arg: [1] } },
      /^cron entry "a": .* has no option "arg": did you mean args\?$/,
    ],
    ['no schedule', { a: { class: 'ReportJob' } }, /^cron entry "a": cron is cron text.*; it is missing$/],
    ['a schedule of a wrong type', { a: { ...daily, cron: 5 } }, /^cron entry "a": cron is cron text .*; got 5$/],
    ['a schedule that is none', { a: { ...daily, cron: 'whenever' } }, /^cron entry "a": .*"whenever"/],
    ['a schedule that never fires', { a: { ...daily, cron: '0 0 31 2 *' } }, /^cron entry "a": .*never/],
    ['a random schedule', { a: { ...daily, cron: '0~30 6 * * *' } }, /^cron entry "a": .*~/],
    ['an unknown zone', { a: { ...daily, cron: '0 6 * * * Europe/Belrin' } }, /^cron entry "a": .*Europe\/Belrin/],
    ['no class', { a: { cron: '0 6 * * *' } }, /^cron entry "a": class is a job class.*; it is missing$/],
    ['a class that is none', { a: { ...daily, class: Map } }, /^cron entry "a": class is not a job class/],
    ['Job itself', { a: { ...daily, class: Job } }, /^cron entry "a": class is Job itself/],
    [
      'a class name that is none',
      { a: { ...daily, class: 'send reports' } },
      /^cron entry "a": class is a job class.*got 'send reports'$/,
    ],
    [
      'a class name in other letters',
      { a: { ...daily, class: 'Reportjob' } },
      /^cron entry "a": .*did you mean ReportJob\?$/,
    ],
    [
      'arguments that are no list',
      { a: { ...daily, args: 5 } },
      /^cron entry "a": args is a list of arguments.*got 5$/,
    ],
    [
      'arguments that cannot be stored',
      { a: { ...daily, args: [1, { at: Symbol('x') }] } },
      /^cron entry "a": .*ReportJob, argument/,
    ],
    ['arguments without an end', { a: { ...daily, args: cyclic } }, /^cron entry "a": /],
    [
      'keyword arguments of a wrong type',
      { a: { ...daily, kwargs: [1] } },
      /^cron entry "a": kwargs is an object.*got \[/,
    ],
    ['keyword arguments that cannot be stored', { a: { ...daily, kwargs: { at: Symbol('x') } } }, /^cron entry "a": /],
    ['options of a wrong type', { a: { ...daily, set: 'mail' } }, /^cron entry "a": set is an object.*got 'mail'$/],
    ['unknown options', { a: { ...daily, set: { qeue: 'mail' } } }, /^cron entry "a": .*"qeue": did you mean queue\?$/],
    ['bad options', { a: { ...daily, set: { priority: 2 ** 40 } } }, /^cron entry "a": priority must be/],
    [
      'a description of a wrong type',
      { a: { ...daily, description: 5 } },
      /^cron entry "a": description is a text; got 5$/,
    ],
    [
      'a default of a wrong type',
      { a: { ...daily, enabledByDefault: 'no' } },
      /^cron entry "a": enabledByDefault is true, false.*got 'no'$/,
    ],
  ])('%s', (_what, cron, message) => {
    expect(refusal(cron)).toMatch(message)
  })

  test('an unknown cronZone', () => {
    expect(refusal({ a: daily }, { cronZone: 'Europe/Belrin' })).toMatch(
      /^cronZone: there is no time zone "Europe\/Belrin"/,
    )
  })

  test('two entries with one key in JSON', () => {
    const text = '{"a":{"cron":"0 6 * * *","class":"A"},"a":{"cron":"0 7 * * *","class":"A"}}'
    expect(refusal(text)).toMatch(/^cron: expected JSON.*the key "a" stands in one object twice/)
  })

  test.each(['{', '5', '[]', '"a"', '{"a":5}'])('the text %s', (text) => {
    expect(refusal(text)).toMatch(/^cron: /)
  })
})

describe('a worker', () => {
  const bad = { a: { ...daily, cron: 'whenever' } }

  test('refuses bad entries of its own code, whether its cron is on or not', () => {
    expect(() => new Capsule({ databaseUrl, jobs: [ReportJob], cron: bad })).toThrow(/cron entry "a"/)
    expect(() => new Capsule({ databaseUrl, jobs: [ReportJob], cron: bad, enableCron: true })).toThrow(/cron entry "a"/)
  })

  test('refuses entries of GOOD_JOB_CRON that only Ruby can read where its cron is on', () => {
    process.env.GOOD_JOB_CRON = JSON.stringify({ a: { cron: '0~30 * * * *', class: 'A' } })
    try {
      expect(() => new Capsule({ databaseUrl, jobs: [ReportJob] })).not.toThrow()
      expect(() => new Capsule({ databaseUrl, jobs: [ReportJob], enableCron: true })).toThrow(/cron entry "a"/)
    } finally {
      delete process.env.GOOD_JOB_CRON
    }
  })
})

describe('what entries mean', () => {
  const sampleOf = (options: Options) => {
    const [entry] = entriesOf(options)
    if (entry === undefined) throw new Error('no entry')
    return { entry, data: jobToData(makeSampleJob(entry), { now: new Date(0), railsVersion: '7.2' }) }
  }

  test('a name is a class of the worker if it has one, otherwise a class of Ruby', () => {
    const Queued = jobClass(
      'QueuedJob',
      () => undefined,
      (made) => void Object.assign(made, { queueAs: 'special' }),
    )
    const known = new JobRegistry().register(Queued)
    const queueOf = (name: string) => {
      const { cron } = new Adapter({ databaseUrl, registry: known, cron: { a: { ...daily, class: name } } })
      const [entry] = cron.entries
      return entry && makeSampleJob(entry).queueName
    }
    expect([queueOf('QueuedJob'), queueOf('Ruby::QueuedJob'), queueOf('::ReportJob')]).toEqual([
      'special',
      'default',
      'default',
    ])
  })

  test('JSON has GoodJob’s names, symbol keys in hashes, and numbers of Ruby’s types', () => {
    const text = `{"a":{"cron":"0 6 * * *","class":"Ruby::A","args":[1,1.0,{"b":{"c":2}}],"kwargs":{"d":{"e":1}},
      "set":{"queue":"q","priority":-5,"good_job_labels":["l"],"good_job_notify":false},"enabled_by_default":false,"description":"x"}}`
    const { entry, data } = sampleOf({ cron: text as never })
    expect(data.serializedArguments).toEqual([
      1,
      expect.objectContaining({ value: 1 }),
      { b: { c: 2, _aj_symbol_keys: ['c'] }, _aj_symbol_keys: ['b'] },
      { d: { e: 1, _aj_symbol_keys: ['e'] }, _aj_ruby2_keywords: ['d'] },
    ])
    expect(data).toMatchObject({ queueName: 'q', priority: -5, extra: { good_job_notify: false } })
    expect(makeSampleJob(entry).labels).toEqual(['l'])
    expect(entry.options).toMatchObject({ enabledByDefault: false, description: 'x' })
  })

  test('the zone is that of the schedule, otherwise cronZone by its Rails or IANA name, TZ, or UTC', () => {
    const zoneOf = (cron: string, cronZone?: string) =>
      entriesOf({ cron: { a: { ...daily, cron } }, ...(cronZone === undefined ? {} : { cronZone }) })[0]?.zone
    const before = process.env.TZ
    try {
      delete process.env.TZ
      expect(zoneOf('0 6 * * *')).toBe('UTC')
      process.env.TZ = 'Asia/Tokyo'
      expect(zoneOf('0 6 * * *')).toBe('Asia/Tokyo')
      expect(zoneOf('0 6 * * *', 'Eastern Time (US & Canada)')).toBe('America/New_York')
      expect(zoneOf('0 6 * * * Europe/Berlin', 'America/New_York')).toBe('Europe/Berlin')
    } finally {
      if (before === undefined) delete process.env.TZ
      else process.env.TZ = before
    }
  })

  test('arguments are those of performLater', () => {
    const { data } = sampleOf({ cron: { a: { ...daily, args: [1], kwargs: { width: 2 } } } })
    expect(data.serializedArguments).toEqual([1, { width: 2, _aj_ruby2_keywords: ['width'] }])
    const given = sampleOf({ cron: { a: { ...daily, args: [1, kwargs({ width: 2 })] } } })
    expect(given.data.serializedArguments).toEqual(data.serializedArguments)
  })
})
