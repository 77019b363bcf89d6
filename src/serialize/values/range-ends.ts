import { RubyBigDecimal, RubyDate, RubyDuration, RubyFloat, RubySymbol } from './ruby-values.ts'

/** Whether Ruby can compare the ends of a range; null is open, and values of unknown kind get the benefit of the doubt. */
export const areComparable = (begin: unknown, end: unknown): boolean => {
  const first = family(begin)
  const second = family(end)
  return first === undefined || second === undefined || first === second
}

/** Values of one family have an order in Ruby, of two families never; undefined when that cannot be known here. */
const family = (value: unknown): string | undefined => {
  if (value === null) return undefined
  if (typeof value !== 'object') return typeof value === 'bigint' ? 'number' : typeof value
  if (value instanceof RubyFloat || value instanceof RubyBigDecimal || value instanceof RubyDuration) return 'number'
  if (value instanceof RubySymbol) return 'symbol'
  if (value instanceof Date) return 'time'
  return value instanceof RubyDate ? 'date' : undefined
}
