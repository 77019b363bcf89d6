import * as vm from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DeserializationError, EnqueueError, ThrownValueError } from '../../src/errors.ts'
import {
  asError,
  backtraceOf,
  errorText,
  parseErrorText,
  rubyClassName,
  rubyErrorName,
} from '../../src/job/error-names.ts'

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
    [new Error(''), 'StandardError: '],
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

  test('does not fail when the error itself does', () => {
    const fail = () => {
      throw new Error('from a getter')
    }
    const hostile = new Error('x')
    // V8 reads the others when it first makes the stack.
    Object.defineProperty(hostile, 'stack', { get: fail })
    Object.defineProperties(hostile, { message: { get: fail }, name: { get: fail } })
    expect(errorText(hostile)).toBe('StandardError: ')
    expect(backtraceOf(hostile)).toEqual([])
  })

  test('splits at its first colon and blank, as does the text that Ruby stored [AJ-085]', async () => {
    expect(parseErrorText('Net::OpenTimeout: execution expired: 5s')).toEqual({
      name: 'Net::OpenTimeout',
      message: 'execution expired: 5s',
    })
    expect(parseErrorText('NoColon')).toEqual({ name: 'NoColon', message: '' })
    await fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (message) => {
        fc.pre(!message.includes('\u0000'))
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

  test('is empty for what has no frames', () => {
    expect(backtraceOf('text')).toEqual([])
    expect(backtraceOf(null)).toEqual([])
  })
})

test('what is no error becomes one that carries it', () => {
  const error = new RangeError('x')
  expect(asError(error)).toBe(error)
  const value = { code: 7 }
  expect(asError(value)).toMatchObject({ value, message: '[object Object]' })
  expect(asError({ message: 'said so' }).message).toBe('said so')
})
