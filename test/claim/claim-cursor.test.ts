import { describe, expect, test } from 'vitest'
import { ClaimCursor } from '../../src/claim/claim-cursor.ts'
import type { ClaimedRow } from '../../src/sql/claim/claim.ts'

const row = (created_at: string, priority: number | null = 0) =>
  ({ queue_name: 'q', priority, created_at }) as ClaimedRow
const at = (created_at: string) => ({ queueName: 'q', priority: 0, at: created_at })

/** A cursor whose first claim took `tookMs` and returned two of two jobs, at 1,000 ms. */
const moved = (tookMs: number): ClaimCursor => {
  const cursor = new ClaimCursor('created_at')
  expect(cursor.end(cursor.begin(2, 1_000 - tookMs), [row('t1'), row('t2')], 1_000)).toBe(0)
  return cursor
}

const HEAD = { kind: 'head', from: undefined, newlyDue: undefined }
const FROM_POSITION = { kind: 'position', from: at('t2'), newlyDue: undefined }
const BEFORE_POSITION = { kind: 'newlyDue', from: undefined, newlyDue: { before: at('t2') } }
const ALL_DUE = { kind: 'allDue', from: undefined, newlyDue: { withinMs: undefined, before: undefined } }

describe('the query at the head', () => {
  test('is always repeated after ten times its duration', () => {
    const cursor = moved(20)
    expect(cursor.begin(2, 1_199)).toMatchObject(FROM_POSITION)
    expect(cursor.begin(2, 1_200)).toMatchObject(HEAD)
  })

  test('is not repeated for every wake-up while it is expensive, but after five seconds at the latest', () => {
    const cursor = moved(800)
    cursor.wake()
    expect(cursor.begin(2, 1_001)).toMatchObject(BEFORE_POSITION)
    expect(cursor.begin(2, 1_002)).toMatchObject(FROM_POSITION)
    expect(cursor.begin(2, 5_999)).toMatchObject(FROM_POSITION)
    expect(cursor.begin(2, 6_000)).toMatchObject(HEAD)
  })

  test('is expensive or cheap by its own duration', () => {
    const wokenAfter = (tookMs: number) => {
      const cursor = moved(tookMs)
      cursor.wake()
      return cursor.begin(2, 1_001)
    }
    expect(wokenAfter(5.3)).toMatchObject(HEAD)
    expect(wokenAfter(5.5)).toMatchObject(BEFORE_POSITION)
  })

  test('is expensive or cheap compared with the claims from the position', () => {
    const wokenAfter = (tookMs: number) => {
      const cursor = moved(8)
      cursor.end(cursor.begin(2, 1_001), [row('t3'), row('t4')], 1_007)
      cursor.end(cursor.begin(2, 1_100), [row('t5'), row('t6')], 1_100 + tookMs)
      cursor.wake()
      return cursor.begin(2, 1_120)
    }
    expect(wokenAfter(11)).toMatchObject(HEAD)
    expect(wokenAfter(13)).toMatchObject({ kind: 'newlyDue' })
  })

  test('may name its queues while it is expensive; its duration says nothing about the next query without names', () => {
    const cheap = moved(2)
    expect(cheap.wantsExpensiveHead(1_100)).toBe(false)
    const cursor = moved(300)
    expect(cursor.wantsExpensiveHead(3_999)).toBe(false)
    expect(cursor.wantsExpensiveHead(4_000)).toBe(true)
    const query = cursor.begin(2, 4_000, true)
    expect(query).toMatchObject(HEAD)
    expect(cursor.end(query, [row('t3'), row('t4')], 4_001)).toBe(0)
    expect(cursor.wantsExpensiveHead(4_010)).toBe(false)
    expect(cursor.wantsExpensiveHead(4_011)).toBe(true)
  })

  test('is repeated by the next claim if it found jobs without a priority', () => {
    const cursor = new ClaimCursor('created_at')
    cursor.end(cursor.begin(1, 0), [row('t1', null)], 900)
    expect(cursor.begin(2, 901)).toMatchObject(HEAD)
  })
})

test('is sent by the next claim after a wake-up, also if the wake-up came during a claim', () => {
  const cursor = moved(2)
  cursor.wake()
  const first = cursor.begin(2, 1_001)
  expect(first).toMatchObject(HEAD)
  cursor.wake()
  cursor.end(first, [row('t3'), row('t4')], 1_005)
  const second = cursor.begin(2, 1_006)
  expect(second).toMatchObject(HEAD)
  cursor.end(second, [row('t5'), row('t6')], 1_010)
  expect(cursor.begin(2, 1_011)).toMatchObject({ kind: 'position', from: at('t6') })
})

describe('a wake-up while the head is expensive', () => {
  const dueWithin = (withinMs: number) => ({ kind: 'newlyDue', newlyDue: { withinMs, before: at('t2') } })

  test('queries jobs before the position that became due since the query at the head was sent, then continues from the position', () => {
    const cursor = moved(800)
    cursor.wake()
    const query = cursor.begin(2, 1_500)
    // The query at the head was sent at 200 ms.
    expect(query).toMatchObject(dueWithin(1_300))
    expect(cursor.end(query, [row('t0')], 1_502)).toBe(0)
    expect(cursor.begin(2, 1_503)).toMatchObject(FROM_POSITION)
  })

  test('repeats that query while it returns the full number of jobs, in turn with claims from the position', () => {
    const cursor = moved(800)
    cursor.wake()
    expect(cursor.end(cursor.begin(1, 1_500), [row('t0')], 1_502)).toBe(0)
    const next = cursor.begin(1, 1_502)
    expect(next).toMatchObject(FROM_POSITION)
    expect(cursor.end(next, [row('t2')], 1_504)).toBe(0)
    // A query that returned the full number may have left some jobs: still since 200 ms.
    expect(cursor.begin(1, 1_504)).toMatchObject(dueWithin(1_304))
  })

  test('leads to a query for newly due jobs; if that finds nothing in 60 ms, the next follows after 600 ms', () => {
    const cursor = moved(800)
    cursor.wake()
    cursor.end(cursor.begin(2, 1_500), [], 1_560)
    cursor.wake()
    const next = cursor.begin(1, 1_570)
    expect(next).toMatchObject(FROM_POSITION)
    expect(cursor.end(next, [row('t2')], 1_572)).toBe(0)
    expect(cursor.begin(1, 2_159)).toMatchObject(FROM_POSITION)
    expect(cursor.begin(2, 2_160)).toMatchObject(dueWithin(660))
  })

  test('is not forgotten when it comes while such a query is under way', () => {
    const cursor = moved(800)
    cursor.wake()
    const query = cursor.begin(2, 1_500)
    cursor.wake()
    cursor.end(query, [], 1_501)
    cursor.end(cursor.begin(1, 1_502), [row('t2')], 1_503)
    expect(cursor.begin(2, 1_504)).toMatchObject(dueWithin(4))
  })

  test('queries newly due jobs everywhere if no job was found yet, and rests until the next query at the head', () => {
    const cursor = new ClaimCursor('created_at')
    expect(cursor.end(cursor.begin(2, 0), [], 300)).toBeUndefined()
    cursor.wake()
    const query = cursor.begin(2, 1_000)
    expect(query).toMatchObject({ kind: 'newlyDue', newlyDue: { withinMs: 1_000, before: undefined } })
    // At 3,300 ms: ten times the 300 ms of the query at the head after its end.
    expect(cursor.end(query, [], 1_001)).toBe(2_299)
    expect(cursor.begin(2, 3_200)).toMatchObject({ kind: 'newlyDue', newlyDue: { withinMs: 2_200 } })
  })
})

describe('a pool that is never idle queries jobs before its position', () => {
  const [t0, t1, t2, t3] = [0, 1, 2, 3].map((second) => `2026-11-29 00:00:0${second}`) as [
    string,
    string,
    string,
    string,
  ]
  const nextAt = (cursor: ClaimCursor, nowMs: number, limit = 1) => {
    cursor.passTime(nowMs)
    return cursor.begin(limit, nowMs)
  }

  test('at every claim while it finds some, then ten times a second', () => {
    const cursor = new ClaimCursor('created_at')
    cursor.end(cursor.begin(1, 992), [row(t2)], 1_000)
    cursor.end(cursor.begin(1, 1_001), [row(t3)], 1_009)
    const early = nextAt(cursor, 1_080)
    expect(early).toMatchObject(HEAD)
    cursor.end(early, [row(t1)], 1_091)
    const next = nextAt(cursor, 1_092)
    expect(next).toMatchObject(HEAD)
    cursor.end(next, [row(t2)], 1_103)
    expect(nextAt(cursor, 1_191)).toMatchObject({ kind: 'position', from: at(t2) })
    expect(nextAt(cursor, 1_192)).toMatchObject(HEAD)
  })

  test('where a more urgent job counts as before and a less urgent one does not, whatever their age', () => {
    const cursor = new ClaimCursor('created_at')
    cursor.end(cursor.begin(1, 1_000), [row(t1)], 1_001)
    cursor.end(cursor.begin(1, 1_100), [row(t2, -1)], 1_101)
    expect(nextAt(cursor, 1_102)).toMatchObject(HEAD)
    cursor.end(cursor.begin(1, 1_200), [row(t0, 1)], 1_201)
    expect(nextAt(cursor, 1_202)).toMatchObject({ kind: 'position', from: { ...at(t0), priority: 1 } })
  })

  test('with queries for newly due jobs while the head is expensive', () => {
    const cursor = moved(50)
    const due = nextAt(cursor, 1_001, 2)
    expect(due.kind).toBe('newlyDue')
    cursor.end(due, [row(t0)], 1_003)
    cursor.end(cursor.begin(2, 1_003), [row(t1), row(t2)], 1_004)
    const again = nextAt(cursor, 1_005, 2)
    expect(again.kind).toBe('newlyDue')
    cursor.end(again, [], 1_006)
    cursor.end(cursor.begin(2, 1_006), [row(t2), row(t3)], 1_007)
    expect(nextAt(cursor, 1_104, 2)).toMatchObject({ kind: 'position', from: at(t3) })
    // 100 ms after the last one was sent.
    expect(nextAt(cursor, 1_105, 2)).toMatchObject({ kind: 'newlyDue', newlyDue: { withinMs: 100 } })
  })
})

describe('a pool that runs out of jobs behind its position', () => {
  test('queries the head before it rests, while the head is cheap', () => {
    const cursor = moved(2)
    expect(cursor.end(cursor.begin(2, 1_001), [row('t3')], 1_002)).toBe(0)
    const head = cursor.begin(2, 1_003)
    expect(head).toMatchObject(HEAD)
    expect(cursor.end(head, [], 1_004)).toBeUndefined()
  })

  /** Its query at the head was sent at 700 ms and took 300 ms; its claim from the position ended at 1,500 ms. */
  const drained = (): ClaimCursor => {
    const cursor = moved(300)
    expect(cursor.end(cursor.begin(2, 1_001), [row('t3')], 1_500)).toBe(2_500)
    return cursor
  }

  test('queries from then on all jobs that became due since the expensive query at the head, wherever they are', () => {
    const cursor = drained()
    const query = cursor.begin(2, 1_700)
    expect(query).toMatchObject({ kind: 'newlyDue', newlyDue: { withinMs: 1_000, before: undefined } })
    expect(cursor.end(query, [row('t0')], 1_702)).toBe(2_298)
    expect(cursor.begin(2, 1_800)).toMatchObject({ kind: 'newlyDue', newlyDue: { withinMs: 100, before: undefined } })
  })

  test('queries all due jobs instead of the head, and again after ten times the duration', () => {
    const cursor = drained()
    const query = cursor.begin(2, 4_000)
    expect(query).toMatchObject(ALL_DUE)
    expect(cursor.end(query, [row('t0')], 4_003)).toBeUndefined()
    expect(cursor.begin(2, 4_032)).toMatchObject({ kind: 'newlyDue', newlyDue: { withinMs: 32, before: undefined } })
    expect(cursor.begin(2, 4_033)).toMatchObject(ALL_DUE)
  })

  test('queries the head again when the full number of jobs is due', () => {
    const cursor = drained()
    expect(cursor.end(cursor.begin(2, 4_000), [row('t0'), row('t1')], 4_003)).toBe(0)
    expect(cursor.begin(2, 4_004)).toMatchObject(HEAD)
  })
})
