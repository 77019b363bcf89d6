import { describe, expect, test } from 'vitest'
import { DeserializationError, RecordNotFoundError, SerializationError } from '../../src/errors.ts'
import {
  containsGlobalID,
  deserializeArguments,
  isKeywords,
  mapGlobalIDs,
  serializeArguments,
} from '../../src/serialize/arguments/arguments.ts'
import { type JsonValue, parseJson } from '../../src/serialize/json.ts'
import { GlobalID, type RubyRange, sym } from '../../src/serialize/values/ruby-values.ts'
import { canonical } from './canonical.ts'

describe('GlobalID', () => {
  test.each<[string | number | bigint, string]>([
    ['1', '1'],
    [7, '7'],
    [2n ** 70n, '1180591620717411303424'],
    ['a b/c?d&e', 'a+b%2Fc%3Fd%26e'],
    ['café', 'caf%C3%A9'],
    ["*'()!~-._", '%2A%27%28%29%21~-._'],
    ['123e4567-e89b-12d3-a456-426614174000', '123e4567-e89b-12d3-a456-426614174000'],
  ])('the id %s is escaped as Ruby does, and read back as text [AJ-041]', (id, escaped) => {
    const gid = new GlobalID('shop', 'Blog::Post', id)
    expect(String(gid)).toBe(`gid://shop/Blog::Post/${escaped}`)
    expect(GlobalID.parse(String(gid))?.modelId).toBe(String(id))
  })

  test('%20 is a space too, and the spelling stays [AJ-041]', () => {
    const gid = GlobalID.parse('gid://shop/Person/a%20b+c%zz%41')
    expect([gid?.modelId, String(gid)]).toEqual(['a b c%zzA', 'gid://shop/Person/a%20b+c%zz%41'])
  })

  test('a composite id is a list, parameters are texts', () => {
    const gid = GlobalID.parse('gid://shop/Person/a%2Fb/7?x=1&x=2&y=a+b')
    expect(gid).toMatchObject({ app: 'shop', modelName: 'Person', modelId: ['a/b', '7'], params: { x: '2', y: 'a b' } })
    expect(String(new GlobalID('shop', 'Person', ['a/b', 7], { y: 'a b' }))).toBe('gid://shop/Person/a%2Fb/7?y=a+b')
  })

  test('its base64url form is read', () => {
    expect(String(GlobalID.parse('Z2lkOi8vc2hvcC9QZXJzb24vMQ=='))).toBe('gid://shop/Person/1')
    expect(String(GlobalID.parse('Z2lkOi8vc2hvcC9QZXJzb24vMQ'))).toBe('gid://shop/Person/1')
  })

  const INVALID = [
    '',
    'nonsense',
    'gid://shop/Person/',
    'gid://shop/Person',
    'gid:///Person/1',
    'gid://sh op/Person/1',
    'gid://shop/Person/a b',
    'gid://shop/Person/%20',
    `gid://shop/P/${'1/'.repeat(20)}1`,
    'http://shop/Person/1',
    null,
    5,
    ['gid://shop/Person/1'],
  ]

  test.each(INVALID)('%j is no GlobalID: an error, or null by option [AJ-042]', (text) => {
    expect(GlobalID.parse(text)).toBeNull()
    expect(() => deserializeArguments([{ _aj_globalid: text }])).toThrow(DeserializationError)
    expect(deserializeArguments([{ _aj_globalid: text }], { invalidGlobalIDs: 'null' })).toEqual([null])
  })

  test.each(['', ' ', [], ['a', '']])('the id %j is refused as in Ruby', (id) => {
    expect(() => new GlobalID('shop', 'Person', id)).toThrow('Unable to serialize Person without an id')
  })

  test('an app is a host name', () => {
    expect(() => new GlobalID('my shop', 'Person', 1)).toThrow(SerializationError)
  })
})

describe('GlobalIDs among arguments', () => {
  const JSON_WITH_GIDS =
    '[{"_aj_globalid":"gid://shop/Person/1"},{"user":{"_aj_globalid":"gid://shop/Person/2"},"n":1.0,"_aj_symbol_keys":["user"]},' +
    '[[{"_aj_globalid":"gid://shop/Person/3"}]],{"_aj_serialized":"ActiveJob::Serializers::RangeSerializer","begin":{"_aj_globalid":"gid://shop/Person/4"},"end":null,"exclude_end":false},' +
    '{"by":{"_aj_globalid":"gid://shop/Person/5"},"_aj_ruby2_keywords":["by"]}]'

  const read = (json: string, options = {}) => deserializeArguments(parseJson(json) as JsonValue[], options)

  test('they are read as GlobalID and written back unchanged [AJ-022]', () => {
    expect(containsGlobalID(read(JSON_WITH_GIDS))).toBe(true)
    expect(canonical(serializeArguments(read(JSON_WITH_GIDS)))).toEqual(canonical(parseJson(JSON_WITH_GIDS)))
  })

  test.each(['object', 'map'] as const)(
    'located records take their place at any depth, in order, and become the same gids again (%s)',
    async (hashes) => {
      const seen: string[] = []
      const records = await mapGlobalIDs(read(JSON_WITH_GIDS, { hashes }), async (gid) => {
        seen.push(String(gid.modelId))
        return new Person(String(gid.modelId))
      })
      expect(seen).toEqual(['1', '2', '3', '4', '5'])
      const user =
        hashes === 'map'
          ? (records[1] as Map<unknown, unknown>).get(sym('user'))
          : (records[1] as { user: unknown }).user
      expect([records[0], user, records[2], (records[3] as RubyRange).begin]).toEqual([
        new Person('1'),
        new Person('2'),
        [[new Person('3')]],
        new Person('4'),
      ])
      expect(isKeywords(records[4])).toBe(true)
      expect(containsGlobalID(records)).toBe(false)
      expect(canonical(serializeArguments(records))).toEqual(canonical(parseJson(JSON_WITH_GIDS)))
    },
  )

  class Person {
    readonly id: string
    constructor(id: string) {
      this.id = id
    }
  }

  test('a record that is a plain object becomes its gid again too', async () => {
    const [record] = await mapGlobalIDs(read('[{"_aj_globalid":"gid://shop/Person/1"}]'), () => ({ id: 1 }))
    expect(record).toEqual({ id: 1 })
    expect(serializeArguments([record])).toEqual([{ _aj_globalid: 'gid://shop/Person/1' }])
    expect(serializeArguments([{ id: 1 }])).toEqual([{ id: 1, _aj_symbol_keys: [] }])
  })

  test('without GlobalIDs the same array comes back', async () => {
    const args = read('[1,{"a":[1]},{"_aj_serialized":"ActiveJob::Serializers::RangeSerializer","begin":1}]')
    expect(await mapGlobalIDs(args, () => 'never')).toBe(args)
  })

  test('the arguments that were given are not changed', async () => {
    const args = read('[{"a":{"_aj_globalid":"gid://shop/Person/1"}}]')
    await mapGlobalIDs(args, () => 'record')
    expect(containsGlobalID(args)).toBe(true)
  })

  test('an error while locating is a DeserializationError with the cause; its own kind is kept', async () => {
    const args = read('[{"_aj_globalid":"gid://shop/Person/1"}]')
    const failure = new Error('gone')
    const failed = mapGlobalIDs(args, () => Promise.reject(failure))
    await expect(failed).rejects.toThrow(DeserializationError)
    await expect(failed).rejects.toMatchObject({
      cause: failure,
      message: 'Error while trying to deserialize arguments: gone',
    })
    const notFound = new RecordNotFoundError('gone')
    await expect(mapGlobalIDs(args, () => Promise.reject(notFound))).rejects.toBe(notFound)
  })

  test('an object with toGlobalID() is written as its gid', () => {
    const record = (gid: unknown) => ({ toGlobalID: () => gid })
    expect(serializeArguments([record('gid://shop/Person/1')])).toEqual([{ _aj_globalid: 'gid://shop/Person/1' }])
    expect(serializeArguments([record(new GlobalID('shop', 'A', 1))])).toEqual([{ _aj_globalid: 'gid://shop/A/1' }])
    expect(() => serializeArguments([record('nonsense')])).toThrow(/not a GlobalID/)
  })
})
