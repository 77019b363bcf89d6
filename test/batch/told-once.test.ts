import { expect, test } from 'vitest'
import { ToldOnce } from '../../src/batch/completion/told-once.ts'

test('what was told is not new again, until ten thousand other things were told', () => {
  const told = new ToldOnce()
  expect(told.isNew('first')).toBe(true)
  expect(told.isNew('first')).toBe(false)
  for (let index = 1; index < 10_000; index++) expect(told.isNew(`other ${index}`)).toBe(true)
  expect(told.isNew('first')).toBe(false)
  expect(told.isNew('one more')).toBe(true)
  expect(told.isNew('first')).toBe(true)
})
