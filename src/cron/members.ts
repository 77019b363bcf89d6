import { isLosslessNumber } from 'lossless-json'
import { type CronEntryOptions, isFromJson } from '../schedule/options.ts'
import { symbolKeys } from '../serialize/arguments/arguments.ts'
import { parseJson } from '../serialize/json.ts'

/** GoodJob's names of members in JSON. */
const MEMBERS: Readonly<Record<string, string>> = { enabled_by_default: 'enabledByDefault' }
const SET_MEMBERS: Readonly<Record<string, string>> = {
  wait_until: 'waitUntil',
  good_job_labels: 'labels',
  good_job_notify: 'notify',
}

/**
 * The members of an entry. Those read from JSON get the names and values of this package: GoodJob parses GOOD_JOB_CRON with symbol keys,
 * and numbers keep their type in Ruby. GoodJob 4.23.1 configuration.rb#cron.
 */
export const membersOf = (entry: CronEntryOptions): Readonly<Record<string, unknown>> => {
  if (!isFromJson(entry)) return { ...entry }
  const { args, kwargs, set, ...others } = renamed(entry, MEMBERS)
  return {
    ...mapValues(others, plain),
    ...(args !== undefined && { args: asRubyReads(args) }),
    ...(kwargs !== undefined && { kwargs: isObject(kwargs) ? mapValues(kwargs, asRubyReads) : plain(kwargs) }),
    ...(set !== undefined && { set: isObject(set) ? mapValues(renamed(set, SET_MEMBERS), plain) : plain(set) }),
  }
}

const renamed = (members: object, names: Readonly<Record<string, string>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [names[name] ?? name, value]))

const mapValues = (members: object, map: (value: unknown) => unknown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(members).map(([name, value]) => [name, map(value)]))

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isLosslessNumber(value)

/** A number that is an option, such as a priority. */
const plain = (value: unknown): unknown => (isLosslessNumber(value) ? Number(value.value) : value)

/** An argument: hashes have symbol keys, 1.0 is a Float, and integers have any size. */
const asRubyReads = (value: unknown): unknown => {
  if (isLosslessNumber(value)) return parseJson(value.value)
  if (Array.isArray(value)) return value.map(asRubyReads)
  return isObject(value) ? symbolKeys(mapValues(value, asRubyReads)) : value
}
