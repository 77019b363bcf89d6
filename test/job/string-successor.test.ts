import { describe, expect, test } from 'vitest'
import { stringSuccessor } from '../../src/job/continuation/string-successor.ts'

// Ruby 3.1.2: [text, text.succ].
const RUBY = [
  ['', ''],
  ['az', 'ba'],
  ['zz', 'aaa'],
  ['a9', 'b0'],
  ['Az', 'Ba'],
  ['Zz', 'AAa'],
  ['a-9', 'a-10'],
  ['1.9', '2.0'],
  ['1.9.9', '2.0.0'],
  ['THX1138', 'THX1139'],
  ['<<koala>>', '<<koalb>>'],
  ['1999zzz', '2000aaa'],
  ['ZZZ9999', 'AAAA0000'],
  ['***', '**+'],
  ['-9', '-10'],
  ['a-', 'b-'],
  ['1-z', '1-aa'],
  ['z-1', 'z-2'],
  ['a.z9', 'b.a0'],
  ['x.99', 'x.100'],
  ['9.z.9', '9.z.10'],
  ['a b9', 'a c0'],
  ['zz99zz99', 'aaa00aa00'],
  ['Z-9.z', 'Z-9.aa'],
  [' ZA99', ' ZB00'],
  ['ay_.9', 'ay_.10'],
  [' ', '!'],
  ['a!', 'b!'],
] as const

describe('the successor of a string', () => {
  test.each(RUBY)('of %j is %j, as in Ruby', (text, successor) => {
    expect(stringSuccessor(text)).toBe(successor)
  })

  test.each(['é', 'a\n', '~', '日本'])('of %j is not computed, as only Ruby knows it', (text) => {
    expect(stringSuccessor(text)).toBeUndefined()
  })
})
