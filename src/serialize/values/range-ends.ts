import { RubyBigDecimal, RubyDate, RubyDuration, RubyFloat, RubySymbol } from './ruby-values.ts'

/** Whether Ruby can compare the ends of a range. A null end is open; values of an unknown kind count as comparable. */
export const areComparable = (begin: unknown, end: unknown): boolean => {
  const first = family(begin)
  const second = family(end)
  return first === undefined || second === undefined || first === second
}

/** The family of a value: Ruby can only compare values of the same family. Undefined if the family is unknown. */
const family = (value: unknown): string | undefined => {
  if (value === null) return undefined
  if (typeof value !== 'object') return typeof value === 'bigint' ? 'number' : typeof value
  if (value instanceof RubyFloat || value instanceof RubyBigDecimal || value instanceof RubyDuration) return 'number'
  if (value instanceof RubySymbol) return 'symbol'
  if (value instanceof Date) return 'time'
  return value instanceof RubyDate ? 'date' : undefined
}
