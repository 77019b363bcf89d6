import { describe, expect, test } from 'vitest'
import { BUSY_MS, Census, type Counts } from '../../src/perform/limits/decision.ts'
import type { Candidate } from '../../src/perform/limits/rule-book.ts'
import { candidate, idsOf, rule, secondText } from './rows.ts'

const NOW = 1_000_000
const now = new Date(NOW * 1_000)

interface Case {
  readonly jobs: readonly Candidate[]
  readonly running?: Readonly<Record<string, number>>
  /** Seconds before now of the starts that a throttle of the scope counts, the newest first. */
  readonly startsAgo?: Readonly<Record<string, readonly number[]>>
  readonly busy?: readonly string[]
  readonly admits: readonly string[]
  /** Refused jobs: the scope, and in how many milliseconds it is to be tried again; null: when a job ends. */
  readonly refuses: Readonly<Record<string, readonly [claimKey: string, inMs: number | null]>>
}

const decide = ({ jobs, running = {}, startsAgo = {}, busy = [] }: Case) => {
  const census = new Census(jobs, now)
  const starts = new Map(
    census.scopes.flatMap(({ windows }) =>
      windows.map((window) => {
        const inWindow = (startsAgo[window.claimKey] ?? []).map((ago) => secondText(NOW - ago))
        return [
          window,
          inWindow.filter((at) => Date.parse(at) > Date.parse(window.since)).slice(0, window.count),
        ] as const
      }),
    ),
  )
  const counts: Counts = { running: new Map(Object.entries(running)), starts, busy: new Set(busy) }
  const { admitted, refused } = census.decide(jobs, counts)
  return {
    admits: idsOf(admitted),
    refuses: Object.fromEntries(
      refused.map(({ candidate: { row }, rule: { scope }, opensAtMs }) => [
        row.id,
        [scope.claimKey, opensAtMs === undefined ? null : opensAtMs - now.getTime()],
      ]),
    ),
  }
}

const one = (limit: number) => rule('label:a', limit)
const throttle = (count: number, seconds = 60) => rule('label:a', null, { count, seconds })

const CASES: Readonly<Record<string, Case>> = {
  'places are given in the order of the jobs': {
    jobs: [candidate('1', 1, [one(2)]), candidate('2', 2, [one(2)]), candidate('3', 3, [one(2)])],
    admits: ['1', '2'],
    refuses: { 3: ['label:a', null] },
  },
  'running jobs have places': {
    jobs: [candidate('1', 1, [one(2)]), candidate('2', 2, [one(2)])],
    running: { 'label:a': 1 },
    admits: ['1'],
    refuses: { 2: ['label:a', null] },
  },
  'a limit of 0 admits no job': {
    jobs: [candidate('1', 1, [one(0)])],
    admits: [],
    refuses: { 1: ['label:a', null] },
  },
  'a fraction of a limit is one more place, as in Ruby': {
    jobs: [candidate('1', 1, [one(1.5)]), candidate('2', 2, [one(1.5)]), candidate('3', 3, [one(1.5)])],
    admits: ['1', '2'],
    refuses: { 3: ['label:a', null] },
  },
  'more jobs may run than a lowered limit allows': {
    jobs: [candidate('1', 1, [one(2)])],
    running: { 'label:a': 5 },
    admits: [],
    refuses: { 1: ['label:a', null] },
  },
  'a job without rules has a place': { jobs: [candidate('1', 1, [])], admits: ['1'], refuses: {} },
  'classes may limit one scope differently': {
    jobs: [candidate('1', 1, [one(1)]), candidate('2', 2, [one(1)]), candidate('3', 3, [one(3)])],
    running: { 'label:a': 1 },
    admits: ['3'],
    refuses: { 1: ['label:a', null], 2: ['label:a', null] },
  },
  'a job needs a place in each of its scopes, and takes none without all': {
    jobs: [
      candidate('1', 1, [rule('label:a', 1), rule('key:k', 1)]),
      candidate('2', 2, [rule('label:a', 1)]),
      candidate('3', 3, [rule('all', 9), rule('key:k', 1)]),
    ],
    running: { 'key:k': 1 },
    admits: ['2'],
    refuses: { 1: ['key:k', null], 3: ['key:k', null] },
  },
  'a job with two rules about one scope takes one place': {
    jobs: [candidate('1', 1, [one(2), one(3)]), candidate('2', 2, [one(2), one(3)])],
    admits: ['1', '2'],
    refuses: {},
  },
  'a rule about all jobs counts the others that are admitted': {
    jobs: [candidate('1', 1, [rule('all', 1)]), candidate('2', 2, [rule('all', 1)])],
    admits: ['1'],
    refuses: { 2: ['all', null] },
  },
  'a rule counts every job that carries its label, whatever the rules of that job': {
    jobs: [candidate('1', 1, [rule('key:k', 1)], { labels: ['a'] }), candidate('2', 2, [one(1)])],
    admits: ['1'],
    refuses: { 2: ['label:a', null] },
  },
  'a job whose row does not carry the label takes no place, as in Ruby': {
    jobs: [candidate('1', 1, [one(1)], { labels: null }), candidate('2', 2, [one(1)])],
    admits: ['1', '2'],
    refuses: {},
  },
  'a throttle opens when its oldest start leaves the window': {
    jobs: [candidate('1', 1, [throttle(2)]), candidate('2', 2, [throttle(2)])],
    startsAgo: { 'label:a': [10, 50] },
    admits: [],
    refuses: { 1: ['label:a', 10_001], 2: ['label:a', 10_001] },
  },
  'starts that have left the window are not counted': {
    jobs: [candidate('1', 1, [throttle(1)])],
    startsAgo: { 'label:a': [60] },
    admits: ['1'],
    refuses: {},
  },
  'a start that was just given counts for the next job': {
    jobs: [candidate('1', 1, [throttle(2)]), candidate('2', 2, [throttle(2)])],
    startsAgo: { 'label:a': [50] },
    admits: ['1'],
    refuses: { 2: ['label:a', 10_001] },
  },
  'a throttle whose starts are all new opens after its whole time': {
    jobs: [candidate('1', 1, [throttle(1)]), candidate('2', 2, [throttle(1)])],
    admits: ['1'],
    refuses: { 2: ['label:a', 60_000] },
  },
  'a fraction of a throttle is one more start': {
    jobs: [candidate('1', 1, [throttle(1.5)]), candidate('2', 2, [throttle(1.5)]), candidate('3', 3, [throttle(1.5)])],
    startsAgo: { 'label:a': [50] },
    admits: ['1'],
    refuses: { 2: ['label:a', 10_001], 3: ['label:a', 10_001] },
  },
  'a full scope with a throttle waits for the end of a job, not for the time': {
    jobs: [candidate('1', 1, [rule('label:a', 1, { count: 1, seconds: 60 })])],
    running: { 'label:a': 1 },
    startsAgo: { 'label:a': [10] },
    admits: [],
    refuses: { 1: ['label:a', null] },
  },
  'throttles of different lengths on one scope count for themselves': {
    jobs: [candidate('1', 1, [throttle(1, 20)]), candidate('2', 2, [throttle(1, 60)])],
    startsAgo: { 'label:a': [30] },
    admits: ['1'],
    refuses: { 2: ['label:a', 60_000] },
  },
  'a scope whose lock another session holds holds back only its own jobs': {
    jobs: [candidate('1', 1, [one(9)]), candidate('2', 2, [rule('key:k', 9)])],
    busy: ['label:a'],
    admits: ['2'],
    refuses: { 1: ['label:a', BUSY_MS] },
  },
}

describe('an admission decides', () => {
  test.each(Object.entries(CASES))('%s', (_, given) => {
    const { admits, refuses } = given
    expect(decide(given)).toEqual({ admits, refuses })
  })

  test('each scope and each window is counted once', () => {
    const census = new Census([candidate('1', 1, [throttle(2), one(1)]), candidate('2', 2, [throttle(2)])], now)
    expect(census.scopes).toEqual([
      {
        claimKey: 'label:a',
        lockName: 'label:a',
        windows: [{ claimKey: 'label:a', count: 2, since: secondText(NOW - 60).replace('Z', '000Z') }],
      },
    ])
  })
})
