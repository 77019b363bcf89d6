import { expect, test } from 'vitest'
import { ToldOnce } from '../../src/batch/completion/told-once.ts'

test('a reported value is not new again until ten thousand other values were reported', () => {
  const reported = new ToldOnce()
  expect(reported.isNew('first')).toBe(true)
  expect(reported.isNew('first')).toBe(false)
  for (let index = 1; index < 10_000; index++) expect(reported.isNew(`other ${index}`)).toBe(true)
  expect(reported.isNew('first')).toBe(false)
  expect(reported.isNew('one more')).toBe(true)
  expect(reported.isNew('first')).toBe(true)
})
