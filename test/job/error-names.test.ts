import * as vm from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeserializationError, EnqueueError, ThrownValueError } from '../../src/errors.ts'
import {
  asError,
  backtraceOf,
  errorText,
  javaScriptNameIn,
  javaScriptText,
  parseErrorText,
  rubyClassName,
  rubyErrorName,
} from '../../src/job/exceptions/error-names.ts'

class NetworkError extends Error {}
class Unclear extends Error {}
class InvalidInput extends TypeError {}
class User extends Error {
  override name = 'User'
}
class GatewayError extends Error {
  static rubyName = 'Billing::GatewayError'
}
class StrangeError extends Error {
  static rubyName = 'not a constant: at all'
}
class RenamedError extends Error {
  override name = 'ConnectionError'
}

describe('the Ruby name of an error [AJ-084]', () => {
  const errors: [unknown, string][] = [
    [new Error('x'), 'StandardError'],
    [new AggregateError([], 'x'), 'StandardError'],
    [new EvalError('x'), 'StandardError'],
    [new SyntaxError('x'), 'StandardError'],
    [new TypeError('x'), 'TypeError'],
    [new RangeError('x'), 'RangeError'],
    [new ReferenceError('x'), 'NameError'],
    [new URIError('x'), 'URI::Error'],
    [new DOMException('x', 'AbortError'), 'StandardError'],
    [new DOMException('x', 'TimeoutError'), 'Timeout::Error'],
    [new NetworkError('x'), 'NetworkError'],
    [new Unclear('x'), 'StandardError'],
    [new InvalidInput('x'), 'TypeError'],
    [new User('x'), 'StandardError'],
    [new GatewayError('x'), 'Billing::GatewayError'],
    [new StrangeError('x'), 'StrangeError'],
    [new RenamedError('x'), 'ConnectionError'],
    [new EnqueueError('x'), 'ActiveJob::EnqueueError'],
    [new DeserializationError('x'), 'ActiveJob::DeserializationError'],
    [new ThrownValueError('x'), 'StandardError'],
    [Object.assign(new Error('x'), { name: 'error: odd' }), 'StandardError'],
    [vm.runInNewContext('new TypeError("x")'), 'TypeError'],
    ['text', 'StandardError'],
    [null, 'StandardError'],
    [{ message: 'an object', name: 'UserError' }, 'StandardError'],
  ]
  test.each(errors.map(([error, name], index) => ({ index, error, name })))(
    'case $index is $name',
    ({ error, name }) => {
      expect(rubyErrorName(error)).toBe(name)
    },
  )

  test.each<[{ name: string }, string]>([
    [Error, 'StandardError'],
    [TypeError, 'TypeError'],
    [NetworkError, 'NetworkError'],
    [Unclear, 'StandardError'],
    [GatewayError, 'Billing::GatewayError'],
  ])('of the class $0.name is $1', (errorClass, name) => {
    expect(rubyClassName(errorClass)).toBe(name)
  })

  test('always matches a Ruby constant, and ends like an exception or is StandardError', async () => {
    await fc.assert(
      fc.property(fc.string(), fc.string(), (name, message) => {
        const found = rubyErrorName(Object.assign(new Error(message), { name }))
        expect(found).toMatch(/^[A-Z]\w*(::[A-Z]\w*)*$/)
        expect(found).toMatch(/(Error|Exception)$/)
      }),
    )
  })
})

describe('the text of an error [AJ-084]', () => {
  const errors: [unknown, string][] = [
    [new NetworkError('no route'), 'NetworkError: no route'],
    [new Error(''), 'StandardError: Error'],
    [new Error('two\nlines: here'), 'StandardError: two\nlines: here'],
    [new Error('a\u0000b\ud800c'), 'StandardError: a\ufffdb\ufffdc'],
    ['just text', 'StandardError: just text'],
    [{ message: 'an object' }, 'StandardError: an object'],
    [undefined, 'StandardError: undefined'],
    [Symbol('s'), 'StandardError: Symbol(s)'],
    [Object.create(null), 'StandardError: a value without a text'],
  ]
  test.each(errors.map(([error, text], index) => ({ index, error, text })))(
    'case $index is as expected',
    ({ error, text }) => {
      expect(errorText(error)).toBe(text)
    },
  )

  test('is read without failing if the properties of the error throw', () => {
    const fail = () => {
      throw new Error('from a getter')
    }
    const hostile = new Error('x')
    // V8 reads the other properties when it first builds the stack.
    Object.defineProperty(hostile, 'stack', { get: fail })
    Object.defineProperties(hostile, { message: { get: fail }, name: { get: fail } })
    expect(errorText(hostile)).toBe('StandardError: Error')
    expect(backtraceOf(hostile)).toEqual(['thrown as Error'])
  })

  test('splits at its first colon and blank, as does the text that Ruby stored [AJ-085]', async () => {
    expect(parseErrorText('Net::OpenTimeout: execution expired: 5s')).toEqual({
      name: 'Net::OpenTimeout',
      message: 'execution expired: 5s',
    })
    expect(parseErrorText('NoColon')).toEqual({ name: 'NoColon', message: '' })
    await fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (message) => {
        fc.pre(!message.includes('\u0000') && message.trim() !== '')
        expect(parseErrorText(errorText(new NetworkError(message)))).toEqual({ name: 'NetworkError', message })
      }),
    )
  })
})

describe('the backtrace of an error', () => {
  test('has the frames only, nearest first, without lines of the message that look like frames', () => {
    const frames = backtraceOf(new NetworkError('failed\n    at the moment\nfor good'))
    expect(frames[0]).toMatch(/^at .*error-names\.test\.ts:\d+:\d+\)?$/)
    expect(frames.every((frame) => frame.startsWith('at '))).toBe(true)
    expect(frames).not.toContain('at the moment')
  })

  test('is empty for a stack without frames', () => {
    expect(backtraceOf('text')).toEqual([])
    expect(backtraceOf(null)).toEqual([])
  })
})

test('a thrown value that is no error is wrapped in an error that carries it', () => {
  const error = new RangeError('x')
  expect(asError(error)).toBe(error)
  const value = { code: 7 }
  expect(asError(value)).toMatchObject({ value, message: '[object Object]' })
  expect(asError({ message: 'said so' }).message).toBe('said so')
})

describe('the causes of an error', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { code: 'ECONNREFUSED' })
  const deep = Array.from({ length: 100 }).reduce<Error>(
    (cause, _, index) => new Error(`e${index}`, { cause }),
    refused,
  )
  const own = new Error('own')
  own.cause = own
  const left = new Error('left')
  const right = new Error('right', { cause: left })
  left.cause = right
  class PortError extends Error {}
  class o extends Error {}

  test.each<[string, unknown, string]>([
    [
      'a cause',
      new TypeError('fetch failed', { cause: refused }),
      'TypeError: fetch failed ← Error: connect ECONNREFUSED 127.0.0.1:1',
    ],
    [
      'a chain, by the names of JavaScript',
      new Error('a', { cause: new PortError('b', { cause: new SyntaxError('c') }) }),
      'StandardError: a ← PortError: b ← SyntaxError: c',
    ],
    [
      'the parts of an AggregateError',
      new AggregateError([new Error('::1'), new TypeError('127.0.0.1')], 'both'),
      'StandardError: both ← [Error: ::1; TypeError: 127.0.0.1]',
    ],
    [
      'one part',
      new AggregateError([refused], ''),
      'StandardError: AggregateError ← Error: connect ECONNREFUSED 127.0.0.1:1',
    ],
    [
      'many parts',
      new AggregateError(
        Array.from({ length: 10_000 }, (_, index) => new Error(`e${index}`)),
        'many',
      ),
      'StandardError: many ← [Error: e0; Error: e1; Error: e2; Error: e3; Error: e4; 9995 more]',
    ],
    [
      'a wrapper that repeats its cause',
      new Error('in the way: b', { cause: new Error('b', { cause: left }) }),
      'StandardError: in the way: b ← Error: left ← Error: right',
    ],
    ['itself', own, 'StandardError: own'],
    ['a ring', left, 'StandardError: left ← Error: right'],
    ['a text as the cause', new Error('a', { cause: 'no disk' }), 'StandardError: a ← no disk'],
    ['an object as the cause', new Error('a', { cause: { secret: 1 } }), 'StandardError: a'],
    ['no message', new Error('', { cause: refused }), 'StandardError: Error ← Error: connect ECONNREFUSED 127.0.0.1:1'],
    ['a blank message', new PortError(' \n'), 'PortError: PortError'],
    ['a class that a minifier named', new Error('a', { cause: new o('b') }), 'StandardError: a ← Error: b'],
    ['an empty text that was thrown', asError(''), 'StandardError: an empty text was thrown'],
  ])('%s', (_what, error, text) => {
    expect(errorText(error)).toBe(text)
  })

  test('are limited in depth, width and length', () => {
    expect(errorText(deep)).toBe(
      `StandardError: e99 ← Error: e98 ← Error: e97 ← Error: e96 ← Error: e95 ← Error: e94 ← Error: e93 ← Error: e92 ← Error: e91`,
    )
    const wide = (depth: number): Error =>
      new AggregateError(depth === 0 ? [] : Array.from({ length: 5 }, () => wide(depth - 1)), 'x'.repeat(10_000))
    expect(errorText(wide(5)).length).toBeLessThan(10_000 + 2_100)
    expect(backtraceOf(wide(5)).length).toBeLessThan(100)
  })

  test('are part of the backtrace, with the nearest frames of each cause', () => {
    const lines = backtraceOf(new TypeError('fetch failed', { cause: refused }))
    const at = lines.indexOf('caused by Error: connect ECONNREFUSED 127.0.0.1:1')
    expect(at).toBeGreaterThan(0)
    expect(lines[at + 1]).toMatch(/^at .*error-names\.test\.ts/)
    expect(lines.length - at).toBeLessThanOrEqual(6)
  })

  test('are read without failing if reading them throws', () => {
    const fail = () => {
      throw new Error('from a getter')
    }
    const hostile = Object.defineProperties(new AggregateError([], 'x'), {
      cause: { get: fail },
      errors: { get: fail },
    })
    expect(errorText(hostile)).toBe('StandardError: x')
  })
})

test('the backtrace names the JavaScript class if the row has its Ruby equivalent, and the shown text names it instead of the equivalent', () => {
  const lines = backtraceOf(new Error('x'))
  expect(lines[0]).toMatch(/^at /)
  expect(javaScriptNameIn(lines)).toBe('Error')
  expect(javaScriptNameIn(backtraceOf(new DOMException('x', 'AbortError')))).toBe('AbortError')
  for (const error of [new TypeError('x'), new NetworkError('x'), new GatewayError('x'), 'x']) {
    expect(javaScriptNameIn(backtraceOf(error))).toBeUndefined()
  }
  expect(javaScriptText('StandardError: a: b', 'Error')).toBe('Error: a: b')
  expect(javaScriptText('StandardError: a', undefined)).toBe('StandardError: a')
})

test('a text too long for Postgres is cut, and says so', () => {
  const text = errorText(new Error('x'.repeat(100_000_007)))
  expect(text.length).toBeLessThan(100_000_100)
  expect(text.endsWith('x… (7 more characters)')).toBe(true)
})
