import { describe, expect, test } from 'vitest'
import { RAILS_VERSIONS, type RailsVersion } from '../../src/serialize/rails-version.ts'
import { ianaTimeZone, isTimeZone } from '../../src/serialize/values/time-zones.ts'
import { vectors } from '../support/vectors.ts'

describe('ianaTimeZone', () => {
  test('maps every name of Rails 8.1 to the zone Rails 8.1 gives it, and the runtime knows it [AJ-087]', () => {
    const names = vectors<Record<string, string>>('activejob-timezones.json')
    expect(Object.keys(names)).toHaveLength(152)
    for (const [name, zone] of Object.entries(names)) {
      expect([name, ianaTimeZone(name, '8.1')]).toEqual([name, zone])
      expect([zone, isTimeZone(zone)]).toEqual([zone, true])
    }
  })

  const CHANGED: readonly [name: string, before: string, since: RailsVersion, after: string][] = [
    ['Canberra', 'Australia/Melbourne', '7.1', 'Australia/Canberra'],
    ['Astana', 'Asia/Dhaka', '7.2', 'Asia/Almaty'],
    ['Greenland', 'America/Godthab', '8.1', 'America/Nuuk'],
    ['Asuncion', 'Asuncion', '8.1', 'America/Asuncion'],
    ['Alberta', 'Alberta', 'main', 'America/Edmonton'],
    ['Pacific Time (Canada)', 'Pacific Time (Canada)', 'main', 'America/Vancouver'],
  ]

  test.each(CHANGED)('%s is %s before Rails %s, then %s [AJ-087]', (name, before, since, after) => {
    const change = RAILS_VERSIONS.indexOf(since)
    expect(RAILS_VERSIONS.map((version) => ianaTimeZone(name, version))).toEqual(
      RAILS_VERSIONS.map((_, index) => (index < change ? before : after)),
    )
  })

  test.each(['Europe/Berlin', 'Etc/UTC', 'Nowhere', '__proto__', 'toString', ''])(
    '%j is taken for an IANA name [AJ-087]',
    (name) => {
      for (const version of RAILS_VERSIONS) expect(ianaTimeZone(name, version)).toBe(name)
    },
  )
})

describe('isTimeZone', () => {
  test.each(['Europe/Berlin', 'Etc/UTC', 'UTC', 'Etc/GMT+12', 'Asia/Calcutta'])('%s is one, asked twice', (zone) => {
    expect([isTimeZone(zone), isTimeZone(zone)]).toEqual([true, true])
  })

  test.each(['', 'Nope', '+05:30', '-05:30', '3600', 'Tokyo'])('%j is none', (zone) => {
    expect(isTimeZone(zone)).toBe(false)
  })
})
