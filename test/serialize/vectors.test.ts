import { beforeAll, describe, expect, test, vi } from 'vitest'
import { DeserializationError, SerializationError } from '../../src/errors.ts'
import { deserializeArguments, serializeArguments } from '../../src/serialize/arguments/arguments.ts'
import { parseJobData, stringifyJobData } from '../../src/serialize/job-data.ts'
import { type JsonValue, parseJson } from '../../src/serialize/json.ts'
import { RAILS_VERSIONS, type RailsVersion } from '../../src/serialize/rails-version.ts'
import { vectors } from '../support/vectors.ts'
import { canonical } from './canonical.ts'
import { comparable, rubyClass, rubyInspect } from './ruby-inspect.ts'

// A time without a zone is the process' own; the vectors were written in UTC.
beforeAll(() => void vi.stubEnv('TZ', 'UTC'))

// MoneySerializer belongs to the application that wrote the vectors, so it is opaque here.
const OPTIONS = { unknownSerializers: 'opaque' } as const

interface ArgumentVector {
  readonly ruby: string
  readonly json: string | null
  readonly ruby_after_roundtrip?: string
  readonly deserialize_error?: string
}

interface WireVector {
  readonly json: string
  readonly ruby?: string
  readonly error?: string
}

interface JobVector {
  readonly ruby: string
  readonly json: string
}

const parseList = (json: string): JsonValue[] => parseJson(json) as JsonValue[]

const written = (railsVersion: RailsVersion) =>
  vectors<ArgumentVector[]>(`activejob-vectors-${railsVersion}.json`).flatMap((vector) =>
    vector.json === null ? [] : [{ ...vector, json: vector.json }],
  )

/** Text that jsonb cannot hold: Ruby writes it, GoodJob's insert fails. */
const isNulText = (json: string): boolean => json.includes('\\u0000')

describe.each(RAILS_VERSIONS)('arguments that Rails %s wrote', (railsVersion) => {
  const readable = written(railsVersion).filter(({ json, deserialize_error: error }) => !isNulText(json) && !error)

  test.each(readable)('$ruby re-encodes to the same JSON [AJ-017]', ({ json }) => {
    const wire = parseList(json)
    const args = deserializeArguments(wire, { ...OPTIONS, railsVersion })
    expect(canonical(serializeArguments(args, { railsVersion }))).toEqual(canonical(wire))
  })

  test.each(readable.filter(({ json }) => !isCompositeGid(json)))(
    '$ruby is read as Ruby reads it',
    ({ json, ruby_after_roundtrip: inspected }) => {
      const args = deserializeArguments(parseList(json), { ...OPTIONS, railsVersion })
      expect(args.map(rubyInspect).join(', ')).toBe(comparable(inspected ?? ''))
    },
  )

  test('what Ruby cannot read back is an error or a value that keeps its text', () => {
    for (const { json } of written(railsVersion).filter(({ deserialize_error: error }) => error)) {
      const read = () => deserializeArguments(parseList(json), { ...OPTIONS, railsVersion })
      if (isCompositeGid(json)) expect(canonical(serializeArguments(read()))).toEqual(canonical(parseList(json)))
      else expect(read).toThrow(DeserializationError)
    }
  })

  test('text with U+0000 is refused before anything is stored [AJ-021]', () => {
    const nul = written(railsVersion).filter(({ json }) => isNulText(json))
    expect(nul).toHaveLength(1)
    for (const { json } of nul) {
      expect(() => serializeArguments(deserializeArguments(parseList(json)))).toThrow(SerializationError)
    }
  })
})

/** The key of Person has one part, so Ruby finds nothing; this is unknown without the model. */
const isCompositeGid = (json: string): boolean => json === '[{"_aj_globalid":"gid://shop/Person/a/7"}]'

/**
 * Where Node decides otherwise than Ruby, on purpose: what it does, for which versions the vectors differ, and why.
 */
const DEVIATIONS: readonly {
  readonly matches: RegExp
  readonly result: 'value' | 'error'
  readonly reason: string
}[] = [
  {
    matches: /ModuleSerializer","value":"Nope"/,
    result: 'value',
    reason: 'constants are names here, nothing is looked up: Node cannot know which ones Ruby has',
  },
  {
    matches: /"gid:\/\/shop\/String\/1"/,
    result: 'value',
    reason: 'a gid is located after decoding, by a locator that may refuse the model',
  },
  {
    matches: /"gid:\/\/shop\/Person\/1\/2"/,
    result: 'value',
    reason: 'how many parts the key of a model has is known to its locator only',
  },
  {
    matches: /DurationSerializer","value":3600}/,
    result: 'value',
    reason: 'Rails 8.1 reads a duration without parts, so Node does for every version',
  },
  {
    matches: /"time_zone":3600/,
    result: 'error',
    reason: 'Ruby takes any zone with this offset, CET or another; no Rails writes a number',
  },
  {
    matches: /"time_zone":"(?:Nope|\+05:30)"/,
    result: 'error',
    reason: 'Rails 6.1 does not check the key; a zone that Rails 7 refuses is refused for all',
  },
  {
    matches: /BigDecimalSerializer","value":(?:"[^a"]|5})/,
    result: 'value',
    reason: 'Rails before 7.1 does not know the serializer; what a later one wrote is read anyway',
  },
  {
    matches: /"_aj_globalid":(?:null|5|""|"gid:\/\/shop\/Person\/")/,
    result: 'error',
    reason: "Ruby runs the job with nil; here it is an error unless invalidGlobalIDs is 'null'",
  },
  {
    matches: /\.678901234567Z/,
    result: 'value',
    reason: 'digits below the nanosecond are cut, as Ruby cuts them when it writes the value again',
  },
]

// `String` and `Kernel` are constants in Ruby but no serializers; only MoneySerializer is one.
const optionsFor = (json: string) => (json.includes('"MoneySerializer"') ? OPTIONS : {})

const FAILED = 'DeserializationError'

const outcomeHere = (json: string, railsVersion: RailsVersion): string => {
  try {
    const [value] = deserializeArguments([parseJson(json)], { ...optionsFor(json), railsVersion })
    return `${rubyInspect(value)} :: ${rubyClass(value)}`
  } catch (error) {
    if (error instanceof DeserializationError) return FAILED
    throw error
  }
}

const outcomeInRuby = ({ ruby }: WireVector): string => {
  if (ruby === undefined) return FAILED
  const [inspected = '', name = ''] = ruby.replace(/ \(r2k\)$/, '').split(' :: ')
  return `${comparable(inspected)} :: ${name}`
}

describe.each(RAILS_VERSIONS)('wire values that Rails %s was given', (railsVersion) => {
  const all = vectors<WireVector[]>(`activejob-deserialize-${railsVersion}.json`)

  test.each(all)(
    '$json has the same value as in Ruby, or the one in the table of deviations [AJ-022] [AJ-023] [AJ-024] [AJ-025] [AJ-026] [AJ-036] [AJ-040]',
    (vector) => {
      const here = outcomeHere(vector.json, railsVersion)
      if (here === outcomeInRuby(vector)) return
      const deviation = DEVIATIONS.find(({ matches }) => matches.test(vector.json))
      expect(deviation?.result, `Ruby: ${outcomeInRuby(vector)}, here: ${here}`).toBe(
        here === FAILED ? 'error' : 'value',
      )
    },
  )
})

test.each(DEVIATIONS)('$matches is needed in the table: $reason', ({ matches }) => {
  const differing = RAILS_VERSIONS.flatMap((version) =>
    vectors<WireVector[]>(`activejob-deserialize-${version}.json`).filter(
      (vector) => matches.test(vector.json) && outcomeHere(vector.json, version) !== outcomeInRuby(vector),
    ),
  )
  expect(differing).not.toEqual([])
})

describe.each(RAILS_VERSIONS)('job hashes that Rails %s wrote', (railsVersion) => {
  test.each(vectors<JobVector[]>(`activejob-jobs-${railsVersion}.json`))('$ruby survives', ({ json }) => {
    const data = parseJobData(json)
    expect(canonical(parseJson(stringifyJobData(data, { railsVersion })))).toEqual(canonical(parseJson(json)))
  })
})
