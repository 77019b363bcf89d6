import { randomUUID } from 'node:crypto'
import fc from 'fast-check'

/** Columns of good_jobs as text that the server casts; null is NULL. */
export type HostileRow = Readonly<Record<string, string | null>> & {
  readonly id: string
  readonly job_class: string | null
  readonly scheduled_at: string | null
}

const often = <T>(usual: fc.Arbitrary<T>, ...others: fc.Arbitrary<T>[]): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: usual, weight: 4 * others.length }, ...others.map((arbitrary) => ({ arbitrary, weight: 1 })))
const anyOf = (...texts: (string | null)[]) => fc.constantFrom(...texts)

// jsonb refuses U+0000 and half a surrogate pair, so no row contains them.
const isStorable = (text: string): boolean => !/\0|[\uD800-\uDFFF]/u.test(text)
const words = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }).filter(isStorable),
  fc.constantFrom(
    '',
    ' ',
    '\\u0000',
    '\\\\u0000',
    '\uFFFF',
    '\u202E',
    '😀',
    "'; DROP TABLE good_jobs; --",
    '%s%n',
    '__proto__',
  ),
)
const string = words.map((text) => JSON.stringify(text))

/** Number spellings that JSON.stringify never writes. */
const number = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom(
    '1e400',
    '-1e400',
    '1e-400',
    '-0',
    '0.10',
    '12345678901234567890123',
    '9007199254740993',
    '2147483648',
    '1E+5',
  ),
)
const scalar = fc.oneof(string, number, fc.constantFrom('null', 'true', 'false'))
const nested = (depth: number, open: string, close: string) => `${open.repeat(depth)}1${close.repeat(depth)}`
const deep = fc
  .constantFrom(50, 500, 3_000)
  .chain((depth) => fc.constantFrom(nested(depth, '[', ']'), nested(depth, '{"a":', '}')))
const huge = fc.constantFrom(`"${'x'.repeat(1_000_000)}"`, `[${'0,'.repeat(100_000)}0]`)

const SERIALIZERS = [
  'Time',
  'TimeWithZone',
  'DateTime',
  'Date',
  'Duration',
  'Symbol',
  'Module',
  'Range',
  'BigDecimal',
  'ActionController',
]
const serializer = fc.oneof(
  fc.constantFrom(...SERIALIZERS).map((name) => JSON.stringify(`ActiveJob::Serializers::${name}Serializer`)),
  scalar,
)
const globalId = fc.oneof(
  fc
    .constantFrom(
      'gid://app/Person/5',
      'gid://',
      'gid://app',
      'gid:///Person/5',
      'gid://app/Person/%FF',
      'http://app/Person/5',
    )
    .map((text) => JSON.stringify(text)),
  fc.constant(JSON.stringify(`gid://app/GoodJob::Batch/${randomUUID()}`)),
  fc.constantFrom('"gid://app/GoodJob::Batch/no-uuid"', '"gid://app/GoodJob::BatchRecord/"'),
  scalar,
)

/** Any JSON text, often with keys that Active Job interprets. */
const { json } = fc.letrec<{ json: string }>((tie) => {
  const member = fc.tuple(string, tie('json')).map(([key, value]) => `${key}:${value}`)
  const members = fc.array(member, { maxLength: 3 })
  const marked = (key: string, value: fc.Arbitrary<string>) =>
    fc.tuple(value, members).map(([of, more]) => `{${[`"${key}":${of}`, ...more].join(',')}}`)
  const serialized = fc
    .tuple(serializer, members, fc.option(tie('json')))
    .map(
      ([name, more, value]) =>
        `{${[`"_aj_serialized":${name}`, ...(value === null ? [] : [`"value":${value}`]), ...more].join(',')}}`,
    )
  return {
    json: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      { arbitrary: scalar, weight: 6 },
      { arbitrary: fc.array(tie('json'), { maxLength: 4 }).map((items) => `[${items.join(',')}]`), weight: 2 },
      { arbitrary: members.map((each) => `{${each.join(',')}}`), weight: 2 },
      { arbitrary: marked('_aj_globalid', globalId), weight: 1 },
      { arbitrary: serialized, weight: 2 },
      { arbitrary: marked('_aj_symbol_keys', tie('json')), weight: 1 },
      { arbitrary: marked('_aj_ruby2_keywords', tie('json')), weight: 1 },
      { arbitrary: marked('_aj_hash_with_indifferent_access', tie('json')), weight: 1 },
    ),
  }
})

const rarely = fc.oneof({ arbitrary: json, weight: 60 }, { arbitrary: deep, weight: 3 }, { arbitrary: huge, weight: 1 })
const counters = fc.oneof(
  json,
  fc.constantFrom('"x"', '1e400', '[]', 'null', '3.5', '{}', 'true', '"3"').map((count) => `{"[Error]":${count}}`),
)
const times = fc.oneof(
  json,
  fc.constantFrom('"soon"', '"9999-12-31T23:59:59Z"', '"2026-02-30T00:00:00Z"', '"-0001-01-01T00:00:00Z"'),
)

/** A count below zero makes a job retry that many times more, in Ruby too. */
const isNotNegative = (text: string): boolean => !text.startsWith('-')

/** One key of the hash of a job: as it should be, missing, or anything. */
const entry = (key: string, good: string, bad: fc.Arbitrary<string> = json): fc.Arbitrary<string> =>
  often(
    fc.constant(`"${key}":${good}`),
    bad.map((value) => `"${key}":${value}`),
    fc.constant(''),
  )

const hash = (id: string, jobClass: string): fc.Arbitrary<string> =>
  fc
    .tuple(
      entry('job_class', JSON.stringify(jobClass)),
      entry('job_id', JSON.stringify(id)),
      entry('provider_job_id', 'null'),
      entry('queue_name', '"default"'),
      entry('priority', '0', fc.oneof(json, number)),
      fc.oneof(
        fc.array(rarely, { maxLength: 3 }).map((items) => `"arguments":[${items.join(',')}]`),
        entry('arguments', '[]', rarely),
      ),
      entry('executions', '0', fc.oneof(json, number).filter(isNotNegative)),
      entry('exception_executions', '{}', counters),
      entry('locale', '"en"'),
      entry('timezone', '"UTC"'),
      entry('enqueued_at', '"2026-01-31T12:00:00.000000000Z"', times),
      entry('scheduled_at', 'null', times),
      entry('continuation', '{}'),
      entry('good_job_notify', 'true'),
      entry('anything', '1', rarely),
    )
    .map((entries) => `{${entries.filter((text) => text !== '').join(',')}}`)

const params = (id: string, jobClass: string): fc.Arbitrary<string | null> =>
  fc.oneof(
    { arbitrary: hash(id, jobClass), weight: 12 },
    { arbitrary: rarely, weight: 2 },
    { arbitrary: fc.constant(null), weight: 1 },
  )

const arrayText = (items: readonly (string | null)[]): string =>
  `{${items.map((item) => (item === null ? 'NULL' : JSON.stringify(item))).join(',')}}`
const labels = fc.array(fc.oneof(words, fc.constant(null)), { maxLength: 4 }).map(arrayText)

const PAST = '2026-01-31 12:00:00'
const EXTREMES = ['2147483647', '-2147483648', '0', '-1', null]

/** A row of one of these classes; `batchIds` belong to equally hostile batches. */
export const hostileRow = (jobClasses: readonly string[], batchIds: readonly string[]): fc.Arbitrary<HostileRow> =>
  fc.tuple(fc.constantFrom(...jobClasses), fc.uuid()).chain(([jobClass, id]) =>
    fc.record({
      id: fc.constant(id),
      active_job_id: often(anyOf(id), anyOf(null)),
      job_class: often(anyOf(jobClass), anyOf(null, '', 'NobodysJob', "Bad'Class")),
      serialized_params: params(id, jobClass),
      queue_name: often(anyOf('default'), anyOf(null, '', 'a,b;*', '-x', '😀', 'q'.repeat(2_000)), words),
      priority: often(anyOf('0'), anyOf(...EXTREMES)),
      scheduled_at: often(anyOf(PAST), anyOf('-infinity', '4000-01-01 00:00:00 BC', null, 'infinity', '9999-12-31')),
      updated_at: fc.constant(PAST),
      created_at: often(anyOf(PAST), anyOf('infinity', '-infinity', '4000-01-01 00:00:00 BC', '9999-12-31')),
      performed_at: often(anyOf(null), anyOf(PAST, 'infinity', '-infinity', '4000-01-01 00:00:00 BC')),
      executions_count: often(anyOf(null), anyOf(...EXTREMES)),
      error: often(anyOf(null), words),
      error_event: often(anyOf(null), anyOf('0', '99', '-32768')),
      labels: often(anyOf(null), labels),
      concurrency_key: often(anyOf(null), words, anyOf('k'.repeat(2_000))),
      cron_key: often(anyOf(null), words),
      lock_type: often(anyOf(null), anyOf('0', '1', '99')),
      batch_id: often(anyOf(null), anyOf(...batchIds), fc.uuid()),
      batch_callback_id: often(anyOf(null), anyOf(...batchIds), fc.uuid()),
      is_discrete: often(anyOf(null), anyOf('true', 'false')),
    }),
  )

/** A row of good_job_batches. */
export const hostileBatch: fc.Arbitrary<Readonly<Record<string, string | null>> & { readonly id: string }> = fc.record({
  id: fc.uuid(),
  created_at: fc.constant(PAST),
  updated_at: fc.constant(PAST),
  description: fc.oneof(words, anyOf(null)),
  serialized_properties: fc.oneof(rarely, anyOf(null)),
  on_finish: fc.oneof(anyOf(null), words),
  on_success: fc.oneof(anyOf(null), words),
  on_discard: fc.oneof(anyOf(null), words),
  callback_queue_name: fc.oneof(anyOf(null), words),
  callback_priority: anyOf(...EXTREMES),
  enqueued_at: anyOf(PAST, null, 'infinity', '-infinity'),
  discarded_at: often(anyOf(null), anyOf(PAST, '-infinity')),
})

/** A NOTIFY payload: nonsense, nearly GoodJob's, or as long as Postgres accepts. */
export const hostilePayload: fc.Arbitrary<string> = fc
  .oneof(
    words,
    json,
    fc.tuple(json, json).map(([queue, time]) => `{"queue_name":${queue},"scheduled_at":${time}}`),
    fc.constantFrom(
      '{',
      '[[[[',
      'null',
      '[]',
      '{"scheduled_at":1e308}',
      '{"scheduled_at":-1e308}',
      '{"__proto__":{"a":1}}',
    ),
    fc.constant(`{"queue_name":"${'x'.repeat(7_900)}"`),
    fc.constant(`${'['.repeat(3_900)}${']'.repeat(3_900)}`),
  )
  .filter((text) => Buffer.byteLength(text) < 8_000 && text !== '')
