import { describe, expect, test } from 'vitest'
import { resolveConfiguration } from '../src/configuration.ts'

const read = (concurrency: unknown) => resolveConfiguration({ concurrency } as never, {}).concurrency

describe('concurrency', () => {
  test('is a list of rules for labels or keys', () => {
    const rules = [
      { label: 'api', performLimit: 5 },
      { key: 'tenant', performThrottle: [10, 60] },
    ]
    expect(read(rules)).toEqual(rules)
    expect(read([{ label: ' api ', performLimit: 0 }])).toEqual([{ label: 'api', performLimit: 0 }])
  })

  test('is JSON in the environment, and empty by default', () => {
    const env = { GOOD_JOB_CONCURRENCY: '[{"label":"api","performLimit":5}]' }
    expect(resolveConfiguration({}, env).concurrency).toEqual([{ label: 'api', performLimit: 5 }])
    expect(resolveConfiguration({}, {}).concurrency).toEqual([])
  })

  test.each([
    [10, /concurrency is a list of rules.* at the same time is threads/],
    ['{', /expected JSON/],
    [{ label: 'api' }, /expected a list of rules/],
    [['api'], /concurrency\[0\]: expected an object/],
    [[{ performLimit: 1 }], /expected a label or a key/],
    [[{ label: 'a', key: 'b', performLimit: 1 }], /expected a label or a key/],
    [[{ label: ' ', performLimit: 1 }], /expected a label or a key/],
    [[{ label: 'a' }], /expected performLimit or performThrottle/],
    [[{ label: 'a', performLimit: -1 }], /performLimit must be a number of at least 0/],
    [[{ label: 'a', performLimit: Number.NaN }], /performLimit must be/],
    [[{ label: 'a', performThrottle: [1] }], /performThrottle must be \[count, seconds\]/],
    [[{ label: 'a', performThrottle: [1, 0] }], /performThrottle must be/],
    [[{ label: 'a', totalLimit: 1 }], /has no option "totalLimit"/],
  ])('refuses %j', (value, message) => {
    expect(() => read(value)).toThrow(message)
  })
})
