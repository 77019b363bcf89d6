const FIRST: Readonly<Record<string, string>> = { '9': '0', z: 'a', Z: 'A' }
const isDigit = (char: string): boolean => char >= '0' && char <= '9'
const isAlnum = (char: string): boolean => /^[0-9A-Za-z]$/.test(char)

/**
 * Ruby's String#succ for ASCII: increments the rightmost letter or digit and carries to the left ('az' -> 'ba', '1.9' -> '2.0').
 * Returns undefined for other strings, whose successor in Ruby depends on the encoding.
 */
export const stringSuccessor = (text: string): string | undefined => {
  if (!/^[\x20-\x7e]*$/.test(text)) return undefined
  const chars = [...text]
  const last = chars.findLastIndex(isAlnum)
  if (last < 0) return symbolSuccessor(chars)
  return alnumSuccessor(chars, last)
}

const alnumSuccessor = (chars: string[], last: number): string => {
  let carriedAt = last
  for (let index = last; index >= 0; index--) {
    const char = chars[index] ?? ''
    if (!isAlnum(char)) continue
    if (isBeyondGap(chars, index, carriedAt)) break
    carriedAt = index
    const wrapped = FIRST[char]
    chars[index] = wrapped ?? following(char)
    if (wrapped === undefined) return chars.join('')
  }
  const carry = chars[carriedAt] ?? ''
  chars.splice(carriedAt, 0, carry === '0' ? '1' : carry)
  return chars.join('')
}

/** Whether a carry stops here. Across other characters it only goes from a digit to a digit or from a letter to a letter. */
const isBeyondGap = (chars: readonly string[], index: number, carriedAt: number): boolean =>
  carriedAt - index > 1 && isDigit(chars[index] ?? '') !== isDigit(chars[carriedAt] ?? '')

const following = (char: string): string => String.fromCharCode(char.charCodeAt(0) + 1)

const symbolSuccessor = (chars: string[]): string | undefined => {
  const last = chars.at(-1)
  if (last === undefined) return ''
  // The successor of '~' would be the unprintable 0x7F; no useful cursor contains it.
  return last === '~' ? undefined : [...chars.slice(0, -1), following(last)].join('')
}
