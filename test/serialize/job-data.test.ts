import { describe, expect, test } from 'vitest'
import { InvalidJobDataError, SerializationError } from '../../src/errors.ts'
import {
  DEFAULT_RAILS_VERSION,
  formatTimestamp,
  type JobData,
  parseJobData,
  parseTimestamp,
  stringifyJobData,
} from '../../src/serialize/job-data.ts'
import { parseJson } from '../../src/serialize/json.ts'
import { RAILS_VERSIONS } from '../../src/serialize/rails-version.ts'
import { RubyFloat, RubyTime } from '../../src/serialize/values/ruby-values.ts'

const MINIMAL = '{"job_class":"A"}'

describe('parseJobData', () => {
  test('a hash with only job_class has no arguments and counts from 0 [AJ-001] [AJ-002]', () => {
    expect(parseJobData(MINIMAL)).toEqual({
      jobClass: 'A',
      jobId: '',
      providerJobId: null,
      queueName: null,
      priority: null,
      serializedArguments: [],
      executions: 0,
      exceptionExecutions: null,
      locale: null,
      timezone: null,
      enqueuedAt: null,
      scheduledAt: null,
      extra: {},
    } satisfies JobData)
  })

  test('null means absent, for every key but job_class [AJ-002]', () => {
    const nulls = `{"job_class":"A","job_id":null,"provider_job_id":null,"queue_name":null,"priority":null,"arguments":null,
      "executions":null,"exception_executions":null,"locale":null,"timezone":null,"enqueued_at":null,"scheduled_at":null}`
    expect(parseJobData(nulls)).toEqual(parseJobData(MINIMAL))
  })

  test('numbers keep their kind in the arguments and in unknown keys [AJ-003] [AJ-004] [AJ-019] [AJ-044]', () => {
    const text = `{"job_class": "A", "arguments": [9007199254740993, 1.0], "priority": -3, "executions": 2,
      "exception_executions": {"[A]": 2}, "continuation": {"completed": [], "current": ["a", 1.0]}, "anything": 1e25}`
    expect(parseJobData(text)).toMatchObject({
      serializedArguments: [9007199254740993n, new RubyFloat(1)],
      priority: -3,
      executions: 2,
      exceptionExecutions: { '[A]': 2 },
      extra: { continuation: { completed: [], current: ['a', new RubyFloat(1)] }, anything: new RubyFloat(1e25) },
    })
  })

  test('a numeric provider_job_id becomes text', () => {
    expect(parseJobData('{"job_class":"A","provider_job_id":42}').providerJobId).toBe('42')
  })

  test('a top-level key named __proto__ is data [AJ-031]', () => {
    const { extra } = parseJobData('{"job_class":"A","__proto__":{"polluted":true}}')
    expect(Object.keys(extra)).toEqual(['__proto__'])
    expect((extra as { polluted?: unknown }).polluted).toBeUndefined()
  })

  test.each([
    ['', 'not JSON'],
    ['{"job_class":"A"', 'not JSON'],
    ['null', 'must be a JSON object'],
    ['[]', 'must be a JSON object'],
    ['1.0', 'must be a JSON object'],
    ['"a"', 'must be a JSON object'],
    ['{}', 'job_class must be'],
    ['{"job_class":null}', 'job_class must be'],
    ['{"job_class":""}', 'job_class must be'],
    ['{"job_class":5}', 'job_class must be'],
    ['{"job_class":"A","arguments":{}}', 'arguments must be an array, got an object'],
    ['{"job_class":"A","arguments":"[]"}', 'arguments must be an array'],
    ['{"job_class":"A","executions":"1"}', 'executions must be an integer, got 1'],
    ['{"job_class":"A","executions":1.0}', 'executions must be an integer'],
    ['{"job_class":"A","executions":1.5}', 'executions must be an integer'],
    ['{"job_class":"A","priority":100000000000000000000}', 'priority must be an integer'],
    ['{"job_class":"A","priority":[]}', 'priority must be an integer, got an array'],
    ['{"job_class":"A","exception_executions":[]}', 'exception_executions must be an object'],
    ['{"job_class":"A","exception_executions":1.0}', 'exception_executions must be an object'],
    ['{"job_class":"A","queue_name":5}', 'queue_name must be a string'],
    ['{"job_class":"A","job_id":5}', 'job_id must be a string'],
    ['{"job_class":"A","enqueued_at":5}', 'enqueued_at must be a string'],
  ])('%s is an InvalidJobDataError', (text, message) => {
    expect(() => parseJobData(text)).toThrow(InvalidJobDataError)
    expect(() => parseJobData(text)).toThrow(message)
  })

  test('nesting beyond the stack is an InvalidJobDataError, not fatal', () => {
    const deep = `{"job_class":"A","arguments":[1.0,${'['.repeat(200_000)}${']'.repeat(200_000)}]}`
    expect(() => parseJobData(deep)).toThrow(InvalidJobDataError)
  })
})

describe('stringifyJobData', () => {
  const data: JobData = {
    ...parseJobData(MINIMAL),
    jobId: '0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00',
    queueName: 'default',
    priority: 0,
    exceptionExecutions: {},
    serializedArguments: [new RubyFloat(1), 1, 2n ** 70n],
    enqueuedAt: '2024-02-29T12:34:56.123456789Z',
  }

  test('a new job has the keys of Rails, numbers as integer tokens [AJ-005] [AJ-008] [AJ-010] [AJ-018]', () => {
    expect(stringifyJobData(data)).toBe(
      '{"job_class":"A","job_id":"0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00","provider_job_id":null,"queue_name":"default","priority":0,' +
        '"arguments":[1.0,1,1180591620717411303424],"executions":0,"exception_executions":{},"locale":null,"timezone":null,' +
        '"enqueued_at":"2024-02-29T12:34:56.123456789Z","scheduled_at":null}',
    )
  })

  test.each(RAILS_VERSIONS)('scheduled_at is written since Rails 7.1: %s [AJ-008]', (railsVersion) => {
    const hash = parseJson(stringifyJobData(data, { railsVersion })) as object
    expect('scheduled_at' in hash).toBe(railsVersion !== '6.1' && railsVersion !== '7.0')
  })

  test('unknown keys are carried, resumptions as an integer token [AJ-004] [AJ-010] [AJ-031]', () => {
    const text =
      '{"job_class":"A","resumptions":3,"mixin":{"f":1.0,"b":9007199254740993},"__proto__":1,"good_job_notify":false}'
    const written = stringifyJobData(parseJobData(text))
    expect(written).toContain(
      '"resumptions":3,"mixin":{"f":1.0,"b":9007199254740993},"__proto__":1,"good_job_notify":false}',
    )
    expect(parseJobData(written).extra).toEqual(parseJobData(text).extra)
  })

  test('labels and concurrency key are never written [AJ-015]', () => {
    const text = '{"job_class":"A","good_job_labels":["a"],"good_job_concurrency_key":"k"}'
    expect(parseJobData(text).extra).toEqual({})
    const written = stringifyJobData({
      ...data,
      extra: { good_job_labels: ['a'], good_job_concurrency_key: 'k', x: 1 },
    })
    expect(written).not.toContain('good_job')
    expect(written).toContain('"x":1')
  })

  test('id, locale and time zone are written back as they were read [AJ-006] [AJ-086]', () => {
    const text = '{"job_class":"A","job_id":"0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00","locale":"pt-BR","timezone":"Tokyo"}'
    const { jobId, locale, timezone } = parseJobData(stringifyJobData(parseJobData(text)))
    expect([jobId, locale, timezone]).toEqual(['0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00', 'pt-BR', 'Tokyo'])
  })

  test('extra keys never replace known ones', () => {
    expect(parseJobData(stringifyJobData({ ...data, extra: { job_class: 'B', executions: 9 } }))).toMatchObject({
      jobClass: 'A',
      executions: 0,
    })
  })

  test('a hash without counters stays without them', () => {
    expect(stringifyJobData(parseJobData(MINIMAL))).toContain('"exception_executions":null')
  })

  test.each(['a\0b', 'a\ud800', '\\\0'])('%j anywhere is refused before it is stored [AJ-021]', (text) => {
    expect(() => stringifyJobData({ ...data, queueName: text })).toThrow(SerializationError)
    expect(() => stringifyJobData({ ...data, exceptionExecutions: { [text]: 1 } })).toThrow(SerializationError)
  })

  test.each(['\\u0000', '\\\\ud800', '😀'])('%j is only similar and accepted', (text) => {
    expect(parseJobData(stringifyJobData({ ...data, queueName: text })).queueName).toBe(text)
  })
})

describe('timestamps', () => {
  const time = new RubyTime(Date.UTC(2024, 1, 29, 12, 34, 56, 123), { nanoseconds: 456_789, offset: '+05:30' })

  test.each(RAILS_VERSIONS)('Rails %s: nine digits and Z since 7.1, whole seconds before [AJ-007]', (railsVersion) => {
    const isOld = railsVersion === '6.1' || railsVersion === '7.0'
    expect(formatTimestamp(time, railsVersion)).toBe(isOld ? '2024-02-29T12:34:56Z' : '2024-02-29T12:34:56.123456789Z')
    expect(formatTimestamp(new Date(1), railsVersion)).toBe(
      isOld ? '1970-01-01T00:00:00Z' : '1970-01-01T00:00:00.001000000Z',
    )
  })

  test('the default target is Rails 7.2 [AJ-007]', () => {
    expect(DEFAULT_RAILS_VERSION).toBe('7.2')
    expect(formatTimestamp(new Date(1))).toBe('1970-01-01T00:00:00.001000000Z')
  })

  test('parseTimestamp keeps nanoseconds and writes the same text again [AJ-036]', () => {
    const parsed = parseTimestamp('2024-02-29T12:34:56.123456789Z')
    expect(parsed.nanoseconds).toBe(123_456_789)
    expect(formatTimestamp(parsed, '8.1')).toBe('2024-02-29T12:34:56.123456789Z')
    expect(parseTimestamp('2024-02-29T12:34:56.678Z').getTime()).toBe(Date.UTC(2024, 1, 29, 12, 34, 56, 678))
  })

  test.each(['', 'soon', '2024-02-29', '2024-02-29 12:34:56'])('%j is an InvalidJobDataError', (text) => {
    expect(() => parseTimestamp(text)).toThrow(InvalidJobDataError)
  })
})
