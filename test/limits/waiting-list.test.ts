import { describe, expect, test } from 'vitest'
import { StartOrder } from '../../src/perform/limits/start-order.ts'
import { WaitingList } from '../../src/perform/limits/waiting-list.ts'
import { candidate, idsOf, rule, secondText } from './rows.ts'

const order = new StartOrder({ kind: 'all' }, 'created_at')
const [one, three] = [rule('label:a', 1), rule('label:a', 3)]
const job = (id: string, second = Number(id)) => candidate(id, second, [one])

const refuse = (list: WaitingList, ids: readonly string[], refusing = one, opensAtMs?: number): void =>
  list.refuse(ids.map((id) => ({ candidate: candidate(id, Number(id), [refusing]), rule: refusing, opensAtMs })))

/** A list in which these jobs wait for a place of the label a. */
const waiting = (...ids: string[]): WaitingList => {
  const list = new WaitingList(order)
  refuse(list, ids)
  return list
}

describe('a place becomes free', () => {
  test('jobs are taken in their order, and only then', () => {
    const list = waiting('3', '1', '2')
    expect([list.hasFree, list.take(2)]).toEqual([false, []])
    list.free('label:a')
    expect([list.hasFree, idsOf(list.take(2))]).toEqual([true, ['1', '2']])
  })

  test('while the places are counted, also of a scope in which no job waited before', () => {
    const list = new WaitingList(order)
    list.beginCount(['label:a'])
    list.free('label:a')
    refuse(list, ['1'])
    list.endCount(['label:a'])
    expect(list.hasFree).toBe(true)
  })

  test('while one of two counts is under way', () => {
    const list = new WaitingList(order)
    list.beginCount(['label:a'])
    list.beginCount(['label:a'])
    list.endCount(['label:a'])
    list.free('label:a')
    refuse(list, ['1'])
    expect(list.hasFree).toBe(true)
  })

  test('before a count and not during it: the count has seen it', () => {
    const list = waiting('1')
    list.free('label:a')
    list.beginCount(['label:a'])
    refuse(list, idsOf(list.take(1)))
    expect(list.hasFree).toBe(false)
  })

  test('for jobs of each limit: those that are refused again do not hide the others', () => {
    const list = waiting('1', '2')
    refuse(list, ['3'], three)
    list.free('label:a')
    refuse(list, idsOf(list.take(2)))
    expect(idsOf(list.take(2))).toEqual(['3'])
  })

  test('jobs behind the position of the claims wait for the jobs before them', () => {
    const list = waiting('1', '5')
    list.free('label:a')
    const position = { queueName: 'default', priority: 0, at: secondText(3) }
    expect(idsOf(list.take(2, position))).toEqual(['1'])
    expect(idsOf(list.take(2, position))).toEqual([])
    expect(idsOf(list.take(2))).toEqual(['5'])
  })
})

describe('a throttle', () => {
  test('opens when its time has come', () => {
    const list = new WaitingList(order)
    refuse(list, ['1'], one, 5_000)
    expect(list.opensAtMs).toBe(5_000)
    list.passTime(4_999)
    expect(list.hasFree).toBe(false)
    list.passTime(5_000)
    expect([list.hasFree, list.opensAtMs]).toEqual([true, Number.POSITIVE_INFINITY])
  })

  test('opens although a job that another rule of the scope refused came later', () => {
    const list = new WaitingList(order)
    refuse(list, ['1'], rule('label:a', null, { count: 1, seconds: 5 }), 5_000)
    refuse(list, ['2'], one)
    expect(list.opensAtMs).toBe(5_000)
    expect(list.closed.filter(({ waitsForPlace }) => waitsForPlace).map(({ limit }) => limit)).toEqual([1])
  })

  test('and a limit of one rule wait for whichever comes first', () => {
    const list = new WaitingList(order)
    const both = rule('label:a', 1, { count: 1, seconds: 5 })
    const [first, second] = [candidate('1', 1, [both]), candidate('2', 2, [both])]
    list.refuse([
      { candidate: first, rule: both, opensAtMs: 5_000 },
      { candidate: second, rule: both, opensAtMs: undefined },
    ])
    expect([list.opensAtMs, list.closed[0]?.waitsForPlace]).toEqual([5_000, true])
  })
})

describe('claims leave out', () => {
  test('the jobs of a class with a label, a key or a rule about all jobs that are full', () => {
    const list = new WaitingList(order)
    for (const full of [rule('label:a', 1), rule('key:k', 1), rule('all', 1)]) {
      list.refuse([{ candidate: candidate(full.scope.claimKey, 1, [full]), rule: full, opensAtMs: undefined }])
    }
    expect(list.exclusions).toEqual({
      labels: [['LimitedJob', 'a']],
      keys: [['LimitedJob', 'k']],
      jobClasses: ['LimitedJob'],
      jobIds: [],
    })
  })

  test('a job by its id if its row does not show the scope', () => {
    const list = new WaitingList(order)
    const hidden = candidate('1', 1, [rule('key:k', 0)], { concurrency_key: null })
    list.refuse([{ candidate: hidden, rule: rule('key:k', 0), opensAtMs: undefined }])
    expect(list.exclusions.jobIds).toEqual(['1'])
  })

  test('nothing of a scope that a claim at the head takes over', () => {
    const list = waiting('1')
    list.free('label:a')
    list.forgetFree()
    expect([list.exclusions.labels, list.size, list.hasFree]).toEqual([[], 0, false])
  })

  test('a job that could not be started, until its time is over; then claims have to find it', () => {
    const list = new WaitingList(order)
    list.skip([job('1')], { untilMs: 1_000, nowMs: 7 })
    expect([list.exclusions.jobIds, list.opensAtMs]).toEqual([['1'], 1_000])
    list.passTime(1_000)
    expect([list.exclusions.jobIds, list.hasFree]).toEqual([[], true])
    expect([list.takeLeftOutSince(), list.takeLeftOutSince()]).toEqual([7, undefined])
  })
})

describe('a job that had a place and could not be started', () => {
  test('leaves its place to the next, which is read again', () => {
    const list = waiting('2', '3')
    list.skip([job('1')], { untilMs: 1_000, nowMs: 0 })
    expect(list.hasFree).toBe(true)
    const reading = list.beginReading(1, false)
    expect(reading.scopes).toEqual([{ claimKey: 'label:a', isDense: true, jobClasses: ['LimitedJob'] }])
    list.add('label:a', [job('3')], reading, false)
    expect(idsOf(list.take(5))).toEqual(['3'])
  })

  test('leaves a job known whose row does not show the scope: no reading would find it', () => {
    const list = new WaitingList(order)
    const hidden = candidate('2', 2, [one], { labels: null })
    list.refuse([{ candidate: hidden, rule: one, opensAtMs: undefined }])
    list.skip([job('1')], { untilMs: 1_000, nowMs: 0 })
    expect(idsOf(list.take(5))).toEqual(['2'])
  })
})

describe('the jobs of a free scope are read', () => {
  test('when none is known', () => {
    const list = waiting('1')
    list.free('label:a')
    expect(list.beginReading(0, true).scopes).toEqual([])
    list.take(1)
    expect(list.beginReading(0, false).scopes).toMatchObject([{ claimKey: 'label:a', isDense: false }])
  })

  test('after a wake-up, because an urgent job may have come; what sorts behind the known jobs is left for later', () => {
    const list = waiting('5', '6')
    list.expectNewJobs()
    list.free('label:a')
    expect(list.beginReading(0, false).scopes).toEqual([])
    const reading = list.beginReading(0, true)
    expect(reading.scopes).toHaveLength(1)
    list.add('label:a', [job('1'), job('7')], reading, true)
    expect(idsOf(list.take(1))).toEqual(['1'])
    expect(list.beginReading(0, true).scopes).toEqual([])
    expect(idsOf(list.take(9))).toEqual(['5', '6'])
    expect(list.beginReading(0, true).scopes).toHaveLength(1)
  })

  test('and then left to claims if no job waits any more, from the time of the reading on', () => {
    const list = waiting('1')
    list.free('label:a')
    list.take(1)
    list.add('label:a', [], list.beginReading(42, false), true)
    expect([list.size, list.takeLeftOutSince()]).toEqual([0, 42])
  })

  test('again if a wake-up came meanwhile', () => {
    const list = waiting('1')
    list.free('label:a')
    list.take(1)
    const reading = list.beginReading(42, false)
    list.expectNewJobs()
    list.add('label:a', [], reading, true)
    expect(list.beginReading(43, false).scopes).toHaveLength(1)
  })

  test('without those that lack a place elsewhere', () => {
    const list = waiting('1')
    refuse(list, ['2'], rule('label:b', 1))
    list.free('label:a')
    expect(list.readExclusions).toMatchObject({ labels: [['LimitedJob', 'b']], jobIds: ['1'] })
  })

  test('for each limit by itself', () => {
    const list = waiting('1')
    refuse(list, ['2'], three)
    list.free('label:a')
    list.take(2)
    list.add('label:a', [candidate('3', 3, [three]), candidate('4', 4, [one])], list.beginReading(0, false), false)
    refuse(list, idsOf(list.take(9).filter(({ rules }) => rules[0] === one)))
    list.free('label:a')
    expect(idsOf(list.take(9))).toEqual(['4'])
  })
})
