import { describe, expect, test } from 'vitest'
import { ClaimCursor } from '../../src/claim/claim-cursor.ts'
import type { ClaimedRow } from '../../src/sql/claim/claim.ts'

const row = (created_at: string, priority: number | null = 0) =>
  ({ queue_name: 'q', priority, created_at }) as ClaimedRow
const at = (created_at: string) => ({ queueName: 'q', priority: 0, at: created_at })

/** A cursor whose first claim took `tookMs` and answered two of two jobs, at 1,000 ms. */
const moved = (tookMs: number): ClaimCursor => {
  const cursor = new ClaimCursor('created_at')
  expect(cursor.end(cursor.begin(2, 1_000 - tookMs), [row('t1'), row('t2')], 1_000)).toBe(0)
  return cursor
}

test('a claim goes on where the one before ended, until ten times what the look at the head took', () => {
  const cursor = moved(20)
  expect(cursor.begin(2, 1_199).from).toEqual(at('t2'))
  expect(cursor.begin(2, 1_200).from).toBeUndefined()
})

test('a look at the head is cheap up to five milliseconds, and a fifth of one more for each job that it found', () => {
  const wokenAfter = (tookMs: number) => {
    const cursor = moved(tookMs)
    cursor.reset()
    return cursor.begin(2, 1_001)
  }
  expect(wokenAfter(5.3)).toMatchObject({ from: undefined, fallenDue: undefined })
  expect(wokenAfter(5.5).fallenDue).toBeDefined()
})

test('a look at the head that takes up to twice what a claim from the position takes for as many jobs is cheap', () => {
  const wokenAfter = (tookMs: number) => {
    const cursor = moved(8)
    cursor.end(cursor.begin(2, 1_001), [row('t3'), row('t4')], 1_007)
    cursor.end(cursor.begin(2, 1_100), [row('t5'), row('t6')], 1_100 + tookMs)
    cursor.reset()
    return cursor.begin(2, 1_120)
  }
  expect(wokenAfter(11)).toMatchObject({ from: undefined, fallenDue: undefined })
  expect(wokenAfter(13).fallenDue).toBeDefined()
})

test('a wake sends the next claim to the head, also one that comes while a claim is under way', () => {
  const cursor = moved(2)
  cursor.reset()
  const first = cursor.begin(2, 1_001)
  expect(first.from).toBeUndefined()
  cursor.reset()
  cursor.end(first, [row('t3'), row('t4')], 1_005)
  const second = cursor.begin(2, 1_006)
  expect(second.from).toBeUndefined()
  cursor.end(second, [row('t5'), row('t6')], 1_010)
  expect(cursor.begin(2, 1_011).from).toEqual(at('t6'))
})

test('a pool that is never idle looks before its position at every claim while it finds jobs there, then ten times a second', () => {
  const askedAt = (cursor: ClaimCursor, nowMs: number, limit = 1) => {
    cursor.resetUnasked(nowMs)
    return cursor.begin(limit, nowMs)
  }
  const [t0, t1, t2, t3] = [0, 1, 2, 3].map((second) => `2026-11-29 00:00:0${second}`) as [
    string,
    string,
    string,
    string,
  ]
  const head = { from: undefined, fallenDue: undefined }

  const cheap = new ClaimCursor('created_at')
  cheap.end(cheap.begin(1, 992), [row(t2)], 1_000)
  cheap.end(cheap.begin(1, 1_001), [row(t3)], 1_009)
  const early = askedAt(cheap, 1_080)
  expect(early).toMatchObject(head)
  cheap.end(early, [row(t1)], 1_091)
  const next = askedAt(cheap, 1_092)
  expect(next).toMatchObject(head)
  cheap.end(next, [row(t2)], 1_103)
  expect(askedAt(cheap, 1_191).from).toEqual(at(t2))
  expect(askedAt(cheap, 1_192)).toMatchObject(head)

  const urgent = new ClaimCursor('created_at')
  urgent.end(urgent.begin(1, 1_000), [row(t1)], 1_001)
  urgent.end(urgent.begin(1, 1_100), [row(t2, -1)], 1_101)
  expect(askedAt(urgent, 1_102)).toMatchObject(head)
  urgent.end(urgent.begin(1, 1_200), [row(t0, 1)], 1_201)
  expect(askedAt(urgent, 1_202).from).toEqual({ ...at(t0), priority: 1 })

  const expensive = moved(50)
  const due = askedAt(expensive, 1_001, 2)
  expect(due.fallenDue).toBeDefined()
  expensive.end(due, [row(t0)], 1_003)
  expensive.end(expensive.begin(2, 1_003), [row(t1), row(t2)], 1_004)
  const again = askedAt(expensive, 1_005, 2)
  expect(again.fallenDue).toBeDefined()
  expensive.end(again, [], 1_006)
  expensive.end(expensive.begin(2, 1_006), [row(t2), row(t3)], 1_007)
  expect(askedAt(expensive, 1_104, 2).from).toEqual(at(t3))
  expect(askedAt(expensive, 1_105, 2).fallenDue).toMatchObject({ withinMs: 100 })
})

test('an expensive look at the head is not repeated for every wake, and never put off for more than five seconds', () => {
  const cursor = moved(800)
  cursor.reset()
  expect(cursor.begin(2, 1_001).fallenDue).toBeDefined()
  expect(cursor.begin(2, 1_002).from).toEqual(at('t2'))
  expect(cursor.begin(2, 5_999).from).toEqual(at('t2'))
  expect(cursor.begin(2, 6_000)).toMatchObject({ from: undefined, fallenDue: undefined })
})

describe('a wake while looks at the head are expensive', () => {
  const due = (withinMs: number) => ({ from: undefined, fallenDue: { withinMs, before: at('t2') } })

  test('looks before the position for what fell due since the look at the head was sent, then goes on', () => {
    const cursor = moved(800)
    cursor.reset()
    const look = cursor.begin(2, 1_500)
    expect(look).toMatchObject(due(1_300))
    expect(cursor.end(look, [row('t0')], 1_502)).toBe(0)
    expect(cursor.begin(2, 1_503)).toMatchObject({ from: at('t2'), fallenDue: undefined })
  })

  test('looks there again while that finds as many as were asked for, in turn with the walk', () => {
    const cursor = moved(800)
    cursor.reset()
    expect(cursor.end(cursor.begin(1, 1_500), [row('t0')], 1_502)).toBe(0)
    const next = cursor.begin(1, 1_502)
    expect(next).toMatchObject({ from: at('t2'), fallenDue: undefined })
    expect(cursor.end(next, [row('t2')], 1_504)).toBe(0)
    expect(cursor.begin(1, 1_504)).toMatchObject(due(1_304))
  })

  test('that finds nothing is followed by the next after ten times what it took, unless that was little', () => {
    const cursor = moved(800)
    cursor.reset()
    cursor.end(cursor.begin(2, 1_500), [], 1_560)
    cursor.reset()
    const next = cursor.begin(1, 1_570)
    expect(next.from).toEqual(at('t2'))
    expect(cursor.end(next, [row('t2')], 1_572)).toBe(0)
    expect(cursor.begin(1, 2_159).from).toEqual(at('t2'))
    expect(cursor.begin(2, 2_160)).toMatchObject(due(660))
  })

  test('is not forgotten when it comes while such a look is under way', () => {
    const cursor = moved(800)
    cursor.reset()
    const look = cursor.begin(2, 1_500)
    cursor.reset()
    cursor.end(look, [], 1_501)
    cursor.end(cursor.begin(1, 1_502), [row('t2')], 1_503)
    expect(cursor.begin(2, 1_504)).toMatchObject(due(4))
  })

  test('looks everywhere when nothing was found yet, and leaves the head alone', () => {
    const cursor = new ClaimCursor('created_at')
    expect(cursor.end(cursor.begin(2, 0), [], 300)).toBeUndefined()
    cursor.reset()
    const look = cursor.begin(2, 1_000)
    expect(look).toMatchObject({ from: undefined, fallenDue: { withinMs: 1_000, before: undefined } })
    expect(cursor.end(look, [], 1_001)).toBe(2_299)
    expect(cursor.begin(2, 3_200)).toMatchObject({ from: undefined, fallenDue: { withinMs: 2_200 } })
  })
})

describe('a pool that runs out of jobs behind its position', () => {
  const everDue = { from: undefined, fallenDue: { withinMs: undefined, before: undefined } }

  test('looks at the head before it rests', () => {
    const cursor = moved(2)
    expect(cursor.end(cursor.begin(2, 1_001), [row('t3')], 1_002)).toBe(0)
    const head = cursor.begin(2, 1_003)
    expect(head).toMatchObject({ from: undefined, fallenDue: undefined })
    expect(cursor.end(head, [], 1_004)).toBeUndefined()
  })

  /** It looked at the head at 700 ms for 300 ms, and walked to the end until 1,500 ms. */
  const exhausted = (): ClaimCursor => {
    const cursor = moved(300)
    expect(cursor.end(cursor.begin(2, 1_001), [row('t3')], 1_500)).toBe(2_500)
    return cursor
  }

  test('looks from then on for what fell due since the expensive look at the head, wherever that is', () => {
    const cursor = exhausted()
    const look = cursor.begin(2, 1_700)
    expect(look).toMatchObject({ from: undefined, fallenDue: { withinMs: 1_000, before: undefined } })
    expect(cursor.end(look, [row('t0')], 1_702)).toBe(2_298)
    expect(cursor.begin(2, 1_800)).toMatchObject({ fallenDue: { withinMs: 100, before: undefined } })
  })

  test('looks at whatever is due instead of the head, again after ten times what that took', () => {
    const cursor = exhausted()
    const look = cursor.begin(2, 4_000)
    expect(look).toMatchObject(everDue)
    expect(cursor.end(look, [row('t0')], 4_003)).toBeUndefined()
    expect(cursor.begin(2, 4_032)).toMatchObject({ fallenDue: { withinMs: 32, before: undefined } })
    expect(cursor.begin(2, 4_033)).toMatchObject(everDue)
  })

  test('looks at the head again when as much is due as was asked for', () => {
    const cursor = exhausted()
    expect(cursor.end(cursor.begin(2, 4_000), [row('t0'), row('t1')], 4_003)).toBe(0)
    expect(cursor.begin(2, 4_004)).toMatchObject({ from: undefined, fallenDue: undefined })
  })
})

test('an expensive look at the head may name the queues; how long that takes says nothing of the next without names', () => {
  const cheap = moved(2)
  expect(cheap.wantsExpensiveHead(1_100)).toBe(false)
  const cursor = moved(300)
  expect(cursor.wantsExpensiveHead(3_999)).toBe(false)
  expect(cursor.wantsExpensiveHead(4_000)).toBe(true)
  const look = cursor.begin(2, 4_000, true)
  expect(look).toMatchObject({ from: undefined, fallenDue: undefined })
  expect(cursor.end(look, [row('t3'), row('t4')], 4_001)).toBe(0)
  expect(cursor.wantsExpensiveHead(4_010)).toBe(false)
  expect(cursor.wantsExpensiveHead(4_011)).toBe(true)
})

test('jobs without priority are claimed from the head', () => {
  const cursor = new ClaimCursor('created_at')
  cursor.end(cursor.begin(1, 0), [row('t1', null)], 900)
  expect(cursor.begin(2, 901)).toMatchObject({ from: undefined, fallenDue: undefined })
})
