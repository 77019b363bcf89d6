import { RubyDate, RubySymbol } from '../../serialize/values/ruby-values.ts'
import { shortly } from '../definition/mistakes.ts'
import { rubyStrip } from '../definition/naming.ts'

/** A value of a declaration: constant, or computed from the job. */
export type RuleValue = unknown

/** A label as GoodJob compares it: stripped text; null if it is blank. Throws TypeError for what cannot be a label. */
export const labelText = (label: unknown): string | null => {
  if (label === null || label === undefined) return null
  if (typeof label === 'string' || isPlainKey(label)) return storable('label', rubyStrip(String(label)))
  assertNoPromise('label', label)
  // Ruby takes any value. Here the text of an object would be the same label for all jobs.
  throw new TypeError(`Concurrency label must be a string, a finite number or null; was ${shortly(label)}`)
}

/**
 * A key as Rails writes it into the column; null if it is blank. Throws TypeError for what cannot be a key. GoodJob 4.23.1 concurrency.rb:
 * VALID_TYPES.
 */
export const keyText = (key: unknown): string | null => {
  if (key === null) return null
  return storable('key', writtenKey(key))
}

const writtenKey = (key: unknown): string => {
  if (typeof key === 'string' || isPlainKey(key)) return String(key)
  // Rails writes true as "t"; false is blank in Ruby.
  if (typeof key === 'boolean') return key ? 't' : ''
  if (key instanceof Date && !Number.isNaN(key.getTime())) return timeText(key)
  assertNoPromise('key', key)
  throw new TypeError(
    `Concurrency key must be a string, a finite number, a boolean, a Date or null; was ${shortly(key)}`,
  )
}

/** Whether `String` writes this value as Ruby does. */
const isPlainKey = (value: unknown): boolean =>
  typeof value === 'bigint' || Number.isFinite(value) || value instanceof RubyDate || value instanceof RubySymbol

/** Time#to_s of Ruby, in UTC. */
const timeText = (time: Date): string => `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`

/** A key, label, limit or throttle must not be lost by an `async`. */
export const assertNoPromise = (what: string, value: unknown): void => {
  if (!(typeof value === 'object' && value !== null && typeof (value as PromiseLike<unknown>).then === 'function'))
    return
  // Its rejection would be reported as unhandled.
  void Promise.resolve(value).catch(() => undefined)
  throw new TypeError(`A function of a concurrency rule must not be async: the ${what} was a promise`)
}

const storable = (what: string, text: string): string | null => {
  if (text.trim() === '') return null
  if (!text.includes('\0')) return text
  throw new TypeError(`Concurrency ${what} must not contain the character U+0000: ${shortly(text)}`)
}
