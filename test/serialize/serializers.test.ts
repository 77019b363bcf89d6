import { afterEach, describe, expect, test } from 'vitest'
import { ConfigurationError, DeserializationError, SerializationError } from '../../src/errors.ts'
import {
  deserializeArguments,
  registerSerializer,
  serializeArguments,
} from '../../src/serialize/arguments/arguments.ts'
import type { JsonObject } from '../../src/serialize/json.ts'
import { RubyFloat, RubySerialized } from '../../src/serialize/values/ruby-values.ts'
import { canonical } from './canonical.ts'

class Money {
  readonly amount: bigint
  readonly currency: string
  constructor(amount: bigint, currency: string) {
    this.amount = amount
    this.currency = currency
  }
}

class Cash extends Money {}

const registrations: (() => void)[] = []

const register = (serializer: Parameters<typeof registerSerializer<Money>>[0]) => {
  registrations.push(registerSerializer(serializer))
}

afterEach(() => {
  for (const remove of registrations.splice(0)) remove()
})

const MONEY = {
  name: 'MoneySerializer',
  klass: Money,
  serialize: ({ amount, currency }: Money): JsonObject => ({ amount, currency }),
  deserialize: ({ amount, currency }: JsonObject) => new Money(BigInt(String(amount)), String(currency)),
}

const WIRE: JsonObject = { _aj_serialized: 'MoneySerializer', amount: 2n ** 70n, currency: 'EUR' }

describe('a registered serializer', () => {
  test('carries its class and subclasses in both directions', () => {
    register(MONEY)
    const [money] = deserializeArguments([WIRE])
    expect(money).toEqual(new Money(2n ** 70n, 'EUR'))
    expect(serializeArguments([money])).toEqual([WIRE])
    expect(serializeArguments([{ price: new Cash(5n, 'USD') }])).toMatchObject([{ price: { amount: 5n } }])
  })

  test("a subclass's own serializer goes before its superclass's", () => {
    register(MONEY)
    register({ ...MONEY, name: 'CashSerializer', klass: Cash })
    expect(serializeArguments([new Cash(5n, 'USD'), new Money(5n, 'USD')])).toMatchObject([
      { _aj_serialized: 'CashSerializer' },
      { _aj_serialized: 'MoneySerializer' },
    ])
  })

  test('fields that JSON would change are refused', () => {
    register({ ...MONEY, serialize: () => ({ amount: Number.NaN }) })
    expect(() => serializeArguments([new Money(1n, 'X')])).toThrow(SerializationError)
    register({ ...MONEY, serialize: () => ({ amount: new RubyFloat(Number.NaN) }) })
    expect(() => serializeArguments([new Money(1n, 'X')])).toThrow(SerializationError)
    register({ ...MONEY, serialize: () => ({ _aj_serialized: 'Other' }) })
    expect(() => serializeArguments([new Money(1n, 'X')])).toThrow(/cannot include _aj_serialized/)
  })

  test('what deserialize throws is a DeserializationError with the cause', () => {
    const cause = new Error('no such currency')
    register({
      ...MONEY,
      deserialize: () => {
        throw cause
      },
    })
    expect(() => deserializeArguments([WIRE])).toThrow(DeserializationError)
    expect(() => deserializeArguments([WIRE])).toThrow(expect.objectContaining({ cause }))
  })

  test('two classes cannot share a name, one class can register again', () => {
    register(MONEY)
    register({ ...MONEY })
    expect(() => registerSerializer({ ...MONEY, klass: Cash })).toThrow(ConfigurationError)
    expect(() => registerSerializer({ ...MONEY, klass: Cash })).toThrow(
      'MoneySerializer already serializes Money, so it cannot serialize Cash',
    )
  })

  test.each(['', 'ActiveJob::Serializers::TimeSerializer'])("%j is Active Job's own name", (name) => {
    expect(() => registerSerializer({ ...MONEY, name })).toThrow(ConfigurationError)
  })

  test('removing it makes its values unknown again', () => {
    registerSerializer(MONEY)()
    expect(() => serializeArguments([new Money(1n, 'X')])).toThrow(SerializationError)
    expect(() => deserializeArguments([WIRE])).toThrow(DeserializationError)
  })
})

describe('an unknown serializer', () => {
  test.each([
    'MoneySerializer',
    'String',
    'Kernel',
    'node:fs',
    './serializers.test.ts',
    '__proto__',
    'constructor',
    '',
  ])('%j is a DeserializationError, and nothing is loaded by that name [AJ-040]', (name) => {
    expect(() => deserializeArguments([{ _aj_serialized: name, value: 1 }])).toThrow(`Serializer ${name} is not known`)
  })

  test.each([null, 5, true, ['A']])('the name %j is one too, also when unknown ones are opaque [AJ-040]', (name) => {
    const wire = [{ _aj_serialized: name, value: 1 }]
    expect(() => deserializeArguments(wire)).toThrow(DeserializationError)
    expect(() => deserializeArguments(wire, { unknownSerializers: 'opaque' })).toThrow(DeserializationError)
  })

  test('is an opaque lossless value by option [AJ-040]', () => {
    const wire: JsonObject = {
      _aj_serialized: 'X::Y',
      n: 2n ** 70n,
      f: new RubyFloat(1),
      h: { _aj_symbol_keys: ['a'], a: [null, { _aj_globalid: 'nonsense' }] },
    }
    const [value] = deserializeArguments([wire], { unknownSerializers: 'opaque' })
    expect(value).toBeInstanceOf(RubySerialized)
    expect(canonical(serializeArguments([value]))).toEqual(canonical([wire]))
  })

  test('takes precedence over markers, and extra keys are ignored [AJ-023]', () => {
    const wire = {
      _aj_serialized: 'ActiveJob::Serializers::DateSerializer',
      value: '2024-01-02',
      _aj_symbol_keys: ['value'],
      x: 1,
    }
    expect(String(deserializeArguments([wire])[0])).toBe('2024-01-02')
  })
})
