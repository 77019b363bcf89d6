import { expect, test, vi } from 'vitest'
import {
  after,
  backoffMs,
  columnText,
  createClock,
  endsWithin,
  every,
  laterBy,
  microsecondText,
  PreciseTime,
  sleep,
  timeAfter,
  Wake,
} from '../src/time.ts'

test('timestamps have microseconds and each is later than the previous one', () => {
  const clock = createClock()
  const stamps = Array.from({ length: 5_000 }, () => clock.timestamp())
  expect(stamps).toEqual([...new Set(stamps)].sort())
  expect(stamps.every((stamp) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(stamp))).toBe(true)
})

test('a clock with an offset applies it to now() and to timestamps', () => {
  const tenMinutes = 600_000
  const clock = createClock(-tenMinutes)
  for (const time of [clock.now(), new Date(clock.timestamp())]) {
    expect(Math.abs(Date.now() - tenMinutes - time.getTime())).toBeLessThan(1_000)
  }
})

test.each([
  [0, '1970-01-01T00:00:00.000000Z'],
  [1, '1970-01-01T00:00:00.000001Z'],
  [1_769_860_800_123_456, '2026-01-31T12:00:00.123456Z'],
])('%d microseconds are %s', (microseconds, text) => {
  expect(microsecondText(microseconds)).toBe(text)
})

test('now() and timestamps never go backwards, and match the system clock to the millisecond', async () => {
  const clock = createClock()
  const texts: string[] = []
  for (let round = 0; round < 200; round++) {
    const before = Date.now()
    const now = clock.now()
    const stamp = clock.timestamp()
    const after = Date.now()
    expect(before).toBeLessThanOrEqual(now.getTime())
    // The system clock is set back a little now and then; now() is not.
    expect(Date.parse(stamp)).toBeLessThanOrEqual(after + 1)
    texts.push(columnText(now), stamp)
    await new Promise(setImmediate)
  }
  expect(texts).toEqual([...new Set(texts)].sort())
})

test.each([3_600_000, -3_600_000, 1_500])(
  'after one reading that was %i ms off, now() matches the system clock again',
  (off) => {
    const clock = createClock()
    const before = clock.timestamp()
    const read = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + off)
    const wrong = clock.timestamp()
    read.mockRestore()
    const after = [clock.now().getTime(), Date.parse(clock.timestamp())]
    expect(Date.parse(wrong) - Date.parse(before) - off).toBeLessThan(1_000)
    for (const time of after) expect(Math.abs(Date.now() - time)).toBeLessThan(1_000)
  },
)

test('timestamps keep increasing if the clock is set back by less than a second', () => {
  const clock = createClock()
  const stamps = [clock.timestamp()]
  const read = vi.spyOn(Date, 'now').mockReturnValue(Date.now() - 900)
  stamps.push(clock.timestamp(), clock.timestamp(), columnText(clock.now()))
  read.mockRestore()
  stamps.push(clock.timestamp())
  expect(stamps).toEqual([...new Set(stamps)].sort())
})

test('the microseconds are measured, not counted', async () => {
  const clock = createClock()
  const parts: number[] = []
  for (let round = 0; round < 50; round++) {
    await sleep(1)
    const now = clock.now()
    parts.push(now instanceof PreciseTime ? now.nanoseconds % 1e6 : 0)
  }
  expect(new Set(parts.map((part) => Math.floor(part / 100_000))).size).toBeGreaterThan(1)
  expect(parts.some((part) => part % 1_000 !== 0)).toBe(true)
})

test.each([
  [0, '2026-01-31T12:00:00.123456Z'],
  [1.5, '2026-01-31T12:00:01.623456Z'],
  [0.000_001_5, '2026-01-31T12:00:00.123458Z'],
  [0.876_543_211, '2026-01-31T12:00:01.000000Z'],
  [-1, '2026-01-31T11:59:59.123456Z'],
  [-0.2, '2026-01-31T11:59:59.923456Z'],
])('%d seconds after a time with nanoseconds are %s', (seconds, text) => {
  const time = new PreciseTime(Date.UTC(2026, 0, 31, 12, 0, 0, 123), 456_789)
  expect(columnText(laterBy(time, seconds))).toBe(text)
})

const never = new AbortController().signal

test('a wake-up before the wait is not lost, and ends one wait only', async () => {
  const wake = new Wake()
  wake.wake()
  wake.wake()
  await wake.wait(Number.POSITIVE_INFINITY, never)
  let isOver = false
  const second = wake.wait(Number.POSITIVE_INFINITY, never).then(() => {
    isOver = true
  })
  await new Promise(setImmediate)
  expect(isOver).toBe(false)
  wake.wake()
  await second
})

test('a wait ends at its time, at an abort, and at once after an abort', async () => {
  const wake = new Wake()
  await wake.wait(1, never)
  await wake.wait(-5, never)
  const controller = new AbortController()
  const waiting = wake.wait(Number.POSITIVE_INFINITY, controller.signal)
  controller.abort()
  await waiting
  await wake.wait(Number.POSITIVE_INFINITY, controller.signal)
})

test('a wait beyond the range of a timer does not end at once', async () => {
  const wake = new Wake()
  let isOver = false
  const waiting = wake.wait(2 ** 40, never).then(() => {
    isOver = true
  })
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(isOver).toBe(false)
  wake.wake()
  await waiting
})

test('a sleep ends at an abort without an error', async () => {
  const controller = new AbortController()
  const sleeping = sleep(60_000, controller.signal)
  controller.abort()
  await sleeping
  await sleep(60_000, controller.signal)
})

test('the backoff doubles from 100 ms up to 5 s, with a quarter of jitter at most', () => {
  for (const [attempt, base] of [
    [1, 100],
    [2, 200],
    [6, 3_200],
    [7, 5_000],
    [1_000, 5_000],
    [5_000, 5_000],
  ] as const) {
    const ms = backoffMs(attempt)
    expect(ms).toBeGreaterThanOrEqual(base)
    expect(ms).toBeLessThanOrEqual(base * 1.25)
  }
})

test.each([2 ** 31, 1e15, Number.POSITIVE_INFINITY])('no timer of %d ms fires at once', async (ms) => {
  const fired: string[] = []
  const timers = [every(ms, () => fired.push('every')), after(ms, () => fired.push('after'))]
  const stop = new AbortController()
  const waits = [sleep(ms, stop.signal), new Wake().wait(ms, stop.signal)]
  for (const wait of waits) void wait.then(() => fired.push('wait'))
  // Node shortens a too long timer to 1 ms.
  await sleep(20)
  expect(fired).toEqual([])
  stop.abort()
  await Promise.all(waits)
  for (const timer of timers) clearTimeout(timer)
})

test.each([
  [1_000, '1970-01-01T00:00:01.000Z'],
  [-1e18, '0001-01-01T00:00:00.000Z'],
  [1e18, '9999-12-31T23:59:59.000Z'],
])('a time that is %d ms away is one that Postgres knows', (ms, text) => {
  expect(timeAfter(0, ms).toISOString()).toBe(text)
})

test("work ends in time, too late, or is cut short; its error is the caller's", async () => {
  const never = new Promise(() => undefined)
  expect(await endsWithin(Promise.resolve(), 0)).toBe(true)
  expect(await endsWithin(never, 1)).toBe(false)
  expect(await endsWithin(never, Number.POSITIVE_INFINITY, AbortSignal.abort())).toBe(false)
  const stop = new AbortController()
  const cut = endsWithin(never, Number.POSITIVE_INFINITY, stop.signal)
  stop.abort()
  expect(await cut).toBe(false)
  await expect(endsWithin(Promise.reject(new Error('its own')), 1_000)).rejects.toThrow('its own')
})
