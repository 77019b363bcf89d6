import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { SlowChecks } from '../../src/batch/slow-checks.ts'

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const MINUTE_MS = 60_000

test('a slow batch is put off for a pause that doubles up to an hour, until it ends well', () => {
  const slow = new SlowChecks()
  const pauses: number[] = []
  for (let time = 0; time < 7; time += 1) {
    slow.putOff('a')
    let minutes = 0
    for (; slow.isPutOff('a'); minutes += 1) vi.advanceTimersByTime(MINUTE_MS)
    pauses.push(minutes)
  }
  expect(pauses).toEqual([2, 4, 8, 16, 32, 60, 60])
  slow.forget('a')
  slow.putOff('a')
  vi.advanceTimersByTime(2 * MINUTE_MS)
  expect(slow.isPutOff('a')).toBe(false)
  expect(slow.isPutOff('b')).toBe(false)
})

test('no more than ten thousand are remembered', () => {
  const slow = new SlowChecks()
  for (let number = 0; number <= 10_000; number += 1) slow.putOff(String(number))
  expect(slow.isPutOff('0')).toBe(false)
  expect(slow.isPutOff('1')).toBe(true)
})
