import { afterAll, expect, test } from 'vitest'
import { deserializeArguments, serializeArguments } from '../../src/serialize/arguments/arguments.ts'
import { parseJobData, stringifyJobData } from '../../src/serialize/job-data.ts'
import { RubyFloat } from '../../src/serialize/values/ruby-values.ts'
import { createDatabase } from '../support/postgres.ts'
import { vectors } from '../support/vectors.ts'
import { canonical } from './canonical.ts'

const database = await createDatabase({ template: 'empty' })
const pool = database.pool({ max: 1 })

afterAll(() => database.drop())

/** What a job hash is after Postgres kept it as jsonb, read as text. */
const stored = async (hash: string): Promise<string> => {
  const { rows } = await pool.query<{ hash: string }>('SELECT $1::jsonb::text AS hash', [hash])
  return rows[0]?.hash ?? ''
}

const jobWith = (args: readonly unknown[]): string =>
  stringifyJobData({ ...parseJobData('{"job_class":"A"}'), serializedArguments: serializeArguments(args) })

test('arguments read through jsonb keep kind and value of every number [AJ-020] [AJ-044]', async () => {
  const args = [
    1,
    new RubyFloat(1),
    1.5,
    2n ** 70n,
    9007199254740993n,
    new RubyFloat(1e15),
    new RubyFloat(1e25),
    1e-7,
    5e-324,
    new RubyFloat(Number.MAX_VALUE),
  ]
  const { serializedArguments } = parseJobData(await stored(jobWith(args)))
  expect(deserializeArguments(serializedArguments)).toEqual(args)
})

test('jsonb drops the sign of zero, and nothing else [AJ-044]', async () => {
  const { serializedArguments } = parseJobData(await stored(jobWith([-0, -1.5])))
  expect(serializedArguments).toEqual([new RubyFloat(0), -1.5])
})

test('text is stored whatever it holds, but for what is refused [AJ-021] [AJ-044]', async () => {
  const args = ['😀 é \u2028 \u0001 \\u0000 "', { '__proto__ ': [], '\u{10ffff}': 1 }]
  const { serializedArguments } = parseJobData(await stored(jobWith(args)))
  expect(canonical(serializedArguments)).toEqual(canonical(serializeArguments(args)))
  await expect(stored('{"a":"\\u0000"}')).rejects.toMatchObject({ code: '22P05' })
  await expect(stored('{"a":"\\ud800"}')).rejects.toMatchObject({ code: '22P02' })
})

test('what Rails wrote is the same after jsonb, apart from floats it spells with an exponent [AJ-017] [AJ-044]', async () => {
  const written = vectors<{ json: string | null }[]>('activejob-vectors-8.1.json')
  for (const { json } of written) {
    if (json === null || json.includes('\\u0000') || /\d[eE]\+/.test(json) || json === '[-0.0]') continue
    const hash = `{"job_class":"A","arguments":${json}}`
    const { serializedArguments } = parseJobData(await stored(hash))
    expect(canonical(serializedArguments)).toEqual(canonical(parseJobData(hash).serializedArguments))
  }
})
