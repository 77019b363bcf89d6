import { describe, expect, test } from 'vitest'
import { uuidV7 } from '../src/uuid.ts'

const timeOf = (id: string): number => Number.parseInt(id.slice(0, 13).replace('-', ''), 16)

describe('an id by time', () => {
  test('is a lower-case UUID of version 7 that begins with the millisecond of its creation', () => {
    const before = Date.now()
    const id = uuidV7()
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(timeOf(id)).toBeGreaterThanOrEqual(before)
    expect(timeOf(id)).toBeLessThanOrEqual(Date.now())
  })

  test('differs from all others of its millisecond', () => {
    const ids = Array.from({ length: 10_000 }, uuidV7)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.map(timeOf)).toEqual(ids.map(timeOf).toSorted((a, b) => a - b))
  })
})
