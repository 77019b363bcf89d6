const FALSE_WORDS = new Set(['0', 'f', 'false', 'off', 'F', 'FALSE', 'OFF'])

/** GoodJob's (Active Model's) reading of a boolean in the environment: 0, f, false and off are false, the rest is true. */
export const parseBoolean = (value: string): boolean => !FALSE_WORDS.has(value)

/** The edit distance: how many letters have to be changed, added or removed until both texts are equal. */
export const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The word that was probably meant: at most a third of its letters differ, ignoring case and punctuation. */
export const nearest = (word: string, words: readonly string[]): string | undefined => {
  const plain = (text: string) => text.toLowerCase().replace(/[^a-z0-9]/g, '')
  const ranked = words
    .map((candidate) => ({ candidate, far: distance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.far - b.far)
  const best = ranked[0]
  return best && best.far <= Math.max(2, Math.ceil(best.candidate.length / 3)) ? best.candidate : undefined
}
