import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matchesQueue, parseQueueString, parseSelector } from '../../src/claim/queue-string.ts'
import { QueueStringError } from '../../src/errors.ts'

const all = { kind: 'all' }
const include = (...queues: string[]) => ({ kind: 'include', queues, isOrdered: false })
const ordered = (...queues: string[]) => ({ kind: 'include', queues, isOrdered: true })
const exclude = (...queues: string[]) => ({ kind: 'exclude', queues })

const pools = (text: string) => parseQueueString(text, 5).map(({ selector, maxThreads }) => [selector, maxThreads])

describe('a queue string', () => {
  test.each<[string, unknown[]]>([
    ['', [[all, 5]]],
    ['   ', [[all, 5]]],
    ['*', [[all, 5]]],
    ['a,b', [[include('a', 'b'), 5]]],
    [' a , b ', [[include('a', 'b'), 5]]],
    ['-a,b', [[exclude('a', 'b'), 5]]],
    ['+a,b', [[ordered('a', 'b'), 5]]],
    ['- a', [[exclude('a'), 5]]],
    ['-a,-b', [[exclude('a', '-b'), 5]]],
    ['+a,*', [[all, 5]]],
    ['-*', [[all, 5]]],
    ['a,*', [[all, 5]]],
    ['a,,b', [[include('a', '', 'b'), 5]]],
    ['a,', [[include('a'), 5]]],
    ['-', [[all, 5]]],
    ['+', [[ordered(), 5]]],
    [',', [[include(), 5]]],
    ['a:', [[include('a'), 5]]],
    ['a: ', [[include('a'), 5]]],
    ['a:2', [[include('a'), 2]]],
    ['a:2:3', [[include('a'), 2]]],
    ['a;', [[include('a'), 5]]],
    [
      'a;b:1',
      [
        [include('a'), 5],
        [include('b'), 1],
      ],
    ],
    [
      ' +a,b:2 ; -c:1 ; * ',
      [
        [ordered('a', 'b'), 2],
        [exclude('c'), 1],
        [all, 5],
      ],
    ],
  ])('%j is read as GoodJob reads it [GJ-043]', (text, expected) => {
    expect(pools(text)).toEqual(expected)
  })

  test.each<[string, unknown[]]>([
    [
      'a:1|b:2;c',
      [
        [include('a'), 1],
        [include('b'), 2],
        [include('c'), 5],
      ],
    ],
    ['a|', [[include('a'), 5]]],
    [' | a ', [[include('a'), 5]]],
    [
      'a||b',
      [
        [include('a'), 5],
        [include('b'), 5],
      ],
    ],
  ])('%j joins its groups, since this is one process [GJ-043, GJ-093]', (text, expected) => {
    expect(pools(text)).toEqual(expected)
  })

  test.each(['a:0', 'a:x', 'a:-1', 'a:1.5', 'a;;b', ';a', ':3', ';', '|', '||', 'a|;b', ' ; '])(
    '%j throws an error that quotes the invalid part [GJ-043, GJ-093]',
    (text) => {
      expect(() => parseQueueString(text, 5)).toThrow(QueueStringError)
    },
  )

  test('the error for an invalid part names the value and the pool', () => {
    expect(() => parseQueueString('low;high:x', 5)).toThrow(
      'expected a whole number of at least 1 after ":", got "x" in "high:x"',
    )
  })

  test('the name of a pool is its part of the queue string as written', () => {
    expect(parseQueueString('+a, b:2;*', 5).map(({ name }) => name)).toEqual(['+a, b', '*'])
  })
})

describe('matching a queue', () => {
  test.each<[string, string | undefined, boolean]>([
    ['*', 'a', true],
    ['a,b', 'a', true],
    ['a,b', 'c', false],
    ['+a,b', 'b', true],
    ['-a', 'a', false],
    ['-a', 'b', true],
    ['+', 'a', false],
    ['a', undefined, true],
    ['-a', undefined, true],
  ])('a pool of %j and a message for %j: %s [GJ-023]', (selector, queue, expected) => {
    expect(matchesQueue(parseSelector(selector), queue)).toBe(expected)
  })

  test('an excluding pool and an including pool of the same names never serve the same queue', () => {
    const name = fc.stringMatching(/^[a-z]{1,3}$/)
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), name, (names, queue) => {
        const list = names.join(',')
        return matchesQueue(parseSelector(list), queue) !== matchesQueue(parseSelector(`-${list}`), queue)
      }),
    )
  })
})
