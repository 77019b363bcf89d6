import { afterAll, expect, test } from 'vitest'
import { plainArray, textArray } from '../../src/sql/text.ts'
import { openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const readBy = async (type: string, text: string) => {
  const [row] = await world.sql<{ elements: unknown[] }>(`SELECT $1::${type}[] AS elements`, [text])
  return row?.elements
}

test.each([
  [[]],
  [['plain', null, '']],
  [
    [
      'NULL',
      'null',
      ' spaces ',
      'comma,',
      '{brace}',
      'quote"',
      "'",
      'back\\slash',
      '\\"',
      'line\nbreak',
      'tab\t',
      '€😀',
    ],
  ],
])('Postgres reads any text of an array as it was: %j', async (elements) => {
  expect(await readBy('text', textArray(elements))).toEqual(elements)
})

test('Postgres reads unquoted ids, numbers and times of an array', async () => {
  const id = '0b5d3c3e-8a4e-4c8e-9a53-3c1f6f1f7a11'
  expect(await readBy('uuid', plainArray([id, id]))).toEqual([id, id])
  expect(await readBy('uuid', plainArray([]))).toEqual([])
  expect(await readBy('smallint', plainArray([null, 1, -5]))).toEqual([null, 1, -5])
  expect(await readBy('float8', plainArray([0, 1e-7, 1.5, 1e21]))).toEqual([0, 1e-7, 1.5, 1e21])
  const times = plainArray(['2026-01-31T12:00:00.123456Z', '0044-03-15 12:00:00 BC', 'infinity'])
  const [row] = await world.sql(`SELECT ($1::timestamp[])::text[] AS times`, [times])
  expect(row?.times).toEqual(['2026-01-31 12:00:00.123456', '0044-03-15 12:00:00 BC', 'infinity'])
})
