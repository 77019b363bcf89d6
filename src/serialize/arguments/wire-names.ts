// Active Job arguments.rb: reserved keys of a serialized hash.
export const GLOBALID_KEY = '_aj_globalid'
export const SERIALIZED_KEY = '_aj_serialized'
export const SYMBOL_KEYS_KEY = '_aj_symbol_keys'
export const KEYWORDS_KEY = '_aj_ruby2_keywords'
export const INDIFFERENT_KEY = '_aj_hash_with_indifferent_access'

/** In the order in which Ruby checks them; the first one with a truthy value applies. */
export const MARKER_KEYS = [INDIFFERENT_KEY, SYMBOL_KEYS_KEY, KEYWORDS_KEY] as const

const RESERVED_KEYS: ReadonlySet<string> = new Set([GLOBALID_KEY, SERIALIZED_KEY, ...MARKER_KEYS])

export const isReservedKey = (key: string): boolean => key.startsWith('_aj_') && RESERVED_KEYS.has(key)

/** Active Job's own serializers, by the type of their value. */
export const SERIALIZERS = {
  symbol: 'ActiveJob::Serializers::SymbolSerializer',
  duration: 'ActiveJob::Serializers::DurationSerializer',
  date: 'ActiveJob::Serializers::DateSerializer',
  dateTime: 'ActiveJob::Serializers::DateTimeSerializer',
  time: 'ActiveJob::Serializers::TimeSerializer',
  timeWithZone: 'ActiveJob::Serializers::TimeWithZoneSerializer',
  module: 'ActiveJob::Serializers::ModuleSerializer',
  range: 'ActiveJob::Serializers::RangeSerializer',
  bigDecimal: 'ActiveJob::Serializers::BigDecimalSerializer',
} as const
