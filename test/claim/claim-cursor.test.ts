import { expect, test } from 'vitest'
import { ClaimCursor } from '../../src/claim/claim-cursor.ts'
import type { ClaimedRow } from '../../src/sql/jobs-claim.ts'

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

test('a wake sends the next claim to the head, also one that comes while a claim is under way', () => {
  const cursor = moved(20)
  cursor.reset()
  const first = cursor.begin(2, 1_001)
  expect(first.from).toBeUndefined()
  cursor.reset()
  cursor.end(first, [row('t3'), row('t4')], 1_010)
  const second = cursor.begin(2, 1_011)
  expect(second.from).toBeUndefined()
  cursor.end(second, [row('t5'), row('t6')], 1_020)
  expect(cursor.begin(2, 1_021).from).toEqual(at('t6'))
})

test('an expensive look at the head is not repeated for every wake, and never put off for more than five seconds', () => {
  const cursor = moved(800)
  cursor.reset()
  expect(cursor.begin(2, 1_001).from).toEqual(at('t2'))
  expect(cursor.begin(2, 5_999).from).toEqual(at('t2'))
  expect(cursor.begin(2, 6_000).from).toBeUndefined()
})

test('a pool that runs out of jobs behind its position looks at the head before it rests', () => {
  const cheap = moved(20)
  expect(cheap.end(cheap.begin(2, 1_001), [row('t3')], 1_002)).toBe(0)
  const head = cheap.begin(2, 1_003)
  expect(head.from).toBeUndefined()
  expect(cheap.end(head, [], 1_004)).toBeUndefined()

  const expensive = moved(300)
  expect(expensive.end(expensive.begin(2, 1_001), [], 1_500)).toBe(2_500)
  expect(expensive.begin(2, 4_000).from).toBeUndefined()
})

test('jobs without priority are claimed from the head', () => {
  const cursor = new ClaimCursor('created_at')
  cursor.end(cursor.begin(1, 0), [row('t1', null)], 900)
  expect(cursor.begin(2, 901).from).toBeUndefined()
})
