import { describe, expect, test } from 'vitest'
import {
  afterHeadQuery,
  afterPositionQuery,
  INITIAL_COST,
  newlyDuePauseMs,
  pauseMs,
} from '../../src/claim/head-cost.ts'

test('the head is cheap until a query shows otherwise', () => {
  expect(INITIAL_COST.isCheap).toBe(true)
})

describe('a query at the head is cheap', () => {
  test.each([
    [0, 4.9, true],
    [0, 5, false],
    [2, 5.3, true],
    [2, 5.5, false],
    [1_000, 204, true],
    [1_000, 206, false],
  ])('that returns %s jobs in %s ms: %s', (jobs, tookMs, isCheap) => {
    expect(afterHeadQuery(INITIAL_COST, tookMs, jobs).isCheap).toBe(isCheap)
  })

  test('up to twice the duration of a claim from the position for as many jobs', () => {
    const cost = afterPositionQuery(INITIAL_COST, 60, 10)
    expect(afterHeadQuery(cost, 23, 2).isCheap).toBe(true)
    expect(afterHeadQuery(cost, 25, 2).isCheap).toBe(false)
  })

  test('again as soon as one query takes little time', () => {
    const expensive = afterHeadQuery(INITIAL_COST, 800, 2)
    expect(expensive.isCheap).toBe(false)
    expect(afterHeadQuery(expensive, 1, 2).isCheap).toBe(true)
  })
})

test('the duration of claims from the position is a moving average in which the last claim has a weight of 0.2', () => {
  const first = afterPositionQuery(INITIAL_COST, 30, 10)
  expect(first.positionMsPerJob).toBe(3)
  expect(afterPositionQuery(first, 80, 10).positionMsPerJob).toBeCloseTo(0.8 * 3 + 0.2 * 8)
})

test.each([
  [0, 0],
  [20, 200],
  [500, 5_000],
  [800, 5_000],
])('a query away from the position that took %s ms is followed by the next after %s ms', (tookMs, pause) => {
  expect(pauseMs(tookMs)).toBe(pause)
})

test.each([
  [0, 49, 0],
  [0, 60, 600],
  [0, 2_000, 5_000],
  [1, 60, 0],
])(
  'a query for newly due jobs that returned %s jobs in %s ms is followed by the next after %s ms',
  (jobs, tookMs, pause) => {
    expect(newlyDuePauseMs(tookMs, jobs)).toBe(pause)
  },
)
