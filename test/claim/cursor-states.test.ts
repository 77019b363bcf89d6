import { describe, expect, test } from 'vitest'
import { ClaimCursor, type ClaimQuery } from '../../src/claim/claim-cursor.ts'
import type { ClaimedRow } from '../../src/sql/claim/claim.ts'

const row = (created_at: string, priority: number | null = 0) =>
  ({ queue_name: 'q', priority, created_at }) as ClaimedRow
const at = (created_at: string) => ({ queueName: 'q', priority: 0, at: created_at })

const CHEAP_MS = 1
const EXPENSIVE_MS = 300

type State = 'head' | 'position' | 'end' | 'drained'
/** A cursor in each state at 1,000 ms; the last query at the head took `tookMs`. No wake-up is pending; a short answer wants the head. */
const cursorAt = (state: State, tookMs: number): ClaimCursor => {
  const cursor = new ClaimCursor('created_at')
  const rows = {
    head: [row('t1'), row('t2', null)],
    position: [row('t1'), row('t2')],
    end: [row('t2')],
    drained: [],
  }[state]
  cursor.end(cursor.begin(2, 1_000 - tookMs), rows, 1_000)
  return cursor
}

const HEAD = { kind: 'head', from: undefined, newlyDue: undefined }
const FROM_POSITION = { kind: 'position', from: at('t2'), newlyDue: undefined }
const BEFORE_POSITION = { kind: 'newlyDue', from: undefined, newlyDue: { before: at('t2') } }
const EVERYWHERE = { kind: 'newlyDue', from: undefined, newlyDue: { before: undefined } }
const ALL_DUE = { kind: 'allDue', from: undefined, newlyDue: { withinMs: undefined, before: undefined } }

describe('the next query', () => {
  /** Times at which `cursorAt` begins a query: the pause of the expensive query ends at 4,000 ms, of the cheap one at 1,010 ms. */
  const events = {
    'of a pool that was not woken': (cursor: ClaimCursor) => cursor.begin(2, 1_001),
    'after a wake-up': (cursor: ClaimCursor) => {
      cursor.wake()
      return cursor.begin(2, 1_001)
    },
    'after the pause of the last query at the head': (cursor: ClaimCursor) => cursor.begin(2, 4_000),
  }

  test.each<[State, 'cheap' | 'expensive', keyof typeof events, object]>([
    ['head', 'cheap', 'of a pool that was not woken', HEAD],
    ['head', 'cheap', 'after a wake-up', HEAD],
    ['head', 'cheap', 'after the pause of the last query at the head', HEAD],
    ['head', 'expensive', 'of a pool that was not woken', HEAD],
    ['head', 'expensive', 'after a wake-up', HEAD],
    ['head', 'expensive', 'after the pause of the last query at the head', HEAD],
    ['position', 'cheap', 'of a pool that was not woken', FROM_POSITION],
    ['position', 'cheap', 'after a wake-up', HEAD],
    ['position', 'cheap', 'after the pause of the last query at the head', HEAD],
    ['position', 'expensive', 'of a pool that was not woken', FROM_POSITION],
    ['position', 'expensive', 'after a wake-up', BEFORE_POSITION],
    ['position', 'expensive', 'after the pause of the last query at the head', HEAD],
    // After a short answer at the head the head is queried again: its snapshot is older than the answer.
    ['end', 'cheap', 'of a pool that was not woken', HEAD],
    ['end', 'cheap', 'after a wake-up', HEAD],
    ['end', 'cheap', 'after the pause of the last query at the head', HEAD],
    ['end', 'expensive', 'of a pool that was not woken', BEFORE_POSITION],
    ['end', 'expensive', 'after a wake-up', BEFORE_POSITION],
    ['end', 'expensive', 'after the pause of the last query at the head', ALL_DUE],
    ['drained', 'cheap', 'of a pool that was not woken', HEAD],
    ['drained', 'cheap', 'after a wake-up', HEAD],
    ['drained', 'cheap', 'after the pause of the last query at the head', HEAD],
    ['drained', 'expensive', 'of a pool that was not woken', EVERYWHERE],
    ['drained', 'expensive', 'after a wake-up', EVERYWHERE],
    ['drained', 'expensive', 'after the pause of the last query at the head', ALL_DUE],
  ])('at %s, %s head, %s', (state, cost, event, query) => {
    const cursor = cursorAt(state, cost === 'cheap' ? CHEAP_MS : EXPENSIVE_MS)
    expect(events[event](cursor)).toMatchObject(query)
  })

  test('at the end, or drained, with an expensive head, is the same for a pool without a wake-up', () => {
    for (const [state, query] of [
      ['end', FROM_POSITION],
      ['drained', EVERYWHERE],
    ] as const) {
      const cursor = cursorAt(state, EXPENSIVE_MS)
      // This query also fulfils the request of the short answer.
      cursor.begin(2, 1_001)
      expect(cursor.begin(2, 1_002)).toMatchObject(query)
    }
  })

  test('does not exist while no slot is free, and the cursor keeps its state', () => {
    const cursor = cursorAt('position', CHEAP_MS)
    cursor.wake()
    const query = cursor.begin(0, 1_001)
    expect(query).toMatchObject({ kind: 'none' })
    expect(cursor.end(query, [], 1_002)).toBe(0)
    expect(cursor.begin(1, 1_003)).toMatchObject(HEAD)
  })
})

describe('the state after an answer', () => {
  const SENT_MS = 1_000 - EXPENSIVE_MS
  /** Queries of each kind, begun by the cursor before it enters the state in which the answer arrives. */
  const queries = {
    head: (cursor: ClaimCursor, limit: number) => {
      cursor.end(cursor.begin(2, SENT_MS), [row('t1'), row('t2', null)], 1_000)
      return cursor.begin(limit, 1_001)
    },
    position: (cursor: ClaimCursor, limit: number) => {
      cursor.end(cursor.begin(2, SENT_MS), [row('t0'), row('t1')], 1_000)
      return cursor.begin(limit, 1_001)
    },
    newlyDue: (cursor: ClaimCursor, limit: number) => {
      cursor.end(cursor.begin(2, SENT_MS), [], 1_000)
      return cursor.begin(limit, 1_001)
    },
    allDue: (cursor: ClaimCursor, limit: number) => {
      cursor.end(cursor.begin(2, SENT_MS), [], 1_000)
      return cursor.begin(limit, 4_000)
    },
  }
  /** The claim of another lane meanwhile. */
  const enter = (cursor: ClaimCursor, state: State, cost: 'cheap' | 'expensive') => {
    const rows = { head: [row('t1'), row('t2', null)], position: [row('t1'), row('t2')], end: [row('t2')], drained: [] }
    const query: ClaimQuery = {
      ...{ kind: 'head', limit: 2, from: undefined, newlyDue: undefined, namesQueues: false },
      sentMs: 9_000 - (cost === 'cheap' ? CHEAP_MS : EXPENSIVE_MS),
    }
    cursor.end(query, rows[state], 9_000)
  }
  /** The state as the queries show it: the next query without a request, and the time of the next query at the head. */
  const stateOf = (cursor: ClaimCursor): State => {
    const isHeadNext = cursor.wantsExpensiveHead(9_305)
    // This query also fulfils the request of the answer, if any.
    cursor.begin(1, 9_305)
    const { kind } = cursor.begin(1, 9_305)
    if (kind === 'head' && isHeadNext) return 'head'
    if (kind === 'newlyDue') return 'drained'
    return cursor.begin(1, 99_000).kind === 'allDue' ? 'end' : 'position'
  }

  const FULL = [row('t3')]
  test.each<[keyof typeof queries, 'full' | 'short', Record<State, State>]>([
    ['head', 'full', { head: 'position', position: 'position', end: 'position', drained: 'position' }],
    ['head', 'short', { head: 'end', position: 'end', end: 'end', drained: 'end' }],
    ['position', 'full', { head: 'position', position: 'position', end: 'end', drained: 'end' }],
    ['position', 'short', { head: 'drained', position: 'drained', end: 'drained', drained: 'drained' }],
    ['newlyDue', 'full', { head: 'head', position: 'position', end: 'end', drained: 'drained' }],
    ['newlyDue', 'short', { head: 'head', position: 'position', end: 'end', drained: 'drained' }],
    ['allDue', 'full', { head: 'head', position: 'head', end: 'head', drained: 'head' }],
    ['allDue', 'short', { head: 'drained', position: 'end', end: 'end', drained: 'drained' }],
  ])('to a query of kind %s that is %s, while the head is expensive', (kind, answer, next) => {
    for (const [before, after] of Object.entries(next) as [State, State][]) {
      const cursor = new ClaimCursor('created_at')
      const limit = answer === 'full' ? 1 : 2
      const query = queries[kind](cursor, limit)
      expect(query.kind).toBe(kind)
      enter(cursor, before, 'expensive')
      const sentMs = kind === 'head' ? 9_300 - EXPENSIVE_MS : 9_299
      cursor.end({ ...query, sentMs }, FULL, 9_300)
      expect([before, stateOf(cursor)]).toEqual([before, after])
    }
  })

  test('to a short query from the position, while the head is cheap, is unchanged; the head is queried next', () => {
    for (const state of ['head', 'position', 'end', 'drained'] as const) {
      const cursor = new ClaimCursor('created_at')
      const query = queries.position(cursor, 2)
      enter(cursor, state, 'cheap')
      expect(cursor.end(query, FULL, 9_001)).toBe(0)
      const next = cursor.begin(1, 9_002)
      expect([state, next.kind]).toEqual([state, 'head'])
      expect(cursor.begin(1, 9_003)).toMatchObject({ kind: 'position', from: at('t3') })
    }
  })

  test('to a query at the head whose last job has no position is "head" if full, and "drained" if short', () => {
    const full = cursorAt('head', EXPENSIVE_MS)
    expect(full.wantsExpensiveHead(1_001)).toBe(true)
    expect(full.begin(2, 1_001)).toMatchObject(HEAD)
    const short = new ClaimCursor('created_at')
    short.end(short.begin(2, 1_000 - EXPENSIVE_MS), [row('t2', null)], 1_000)
    expect(short.wantsExpensiveHead(1_001)).toBe(false)
    expect(short.begin(2, 1_001)).toMatchObject(EVERYWHERE)
  })
})
