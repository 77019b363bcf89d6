/** The words of fugit's phrases, with its faults. fugit 1.14.0 nat.rb. */

const ONE_TO_NINE = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine']
const TEENS = ['eleven', 'twelve', 'thirteen', 'fourteen', 'fifteen', 'sixteen', 'seventeen', 'eighteen', 'nineteen']
const TENS = ['twenty', 'thirty', 'forty', 'fifty']

const BELOW_SIXTY = [
  ...['zero', ...ONE_TO_NINE, 'ten', ...TEENS],
  ...TENS.flatMap((ten) => [ten, ...ONE_TO_NINE.map((one) => `${ten}-${one}`)]),
]

const numbered = (words: readonly string[], first = 0): Map<string, number> =>
  new Map(words.map((word, index) => [word, first + index]))

export const HOUR_WORDS: ReadonlyMap<string, number> = numbered(BELOW_SIXTY.slice(0, 13))
  .set('midnight', 0)
  .set('oh', 0)
  .set('noon', 12)

export const MINUTE_WORDS: ReadonlyMap<string, number> = numbered(BELOW_SIXTY).set("o'clock", 0).set('hundred', 0)

const ORDINALS = [
  ...['first', 'second', 'third', 'fourth', 'fifth', 'sixth', 'seventh', 'eighth', 'ninth', 'tenth', 'eleventh'],
  ...['twelfth', 'thirteenth', 'fourteenth', 'fifteenth', 'sixteenth', 'seventeenth', 'eighteenth', 'nineteenth'],
  ...['twentieth', 'twenty-first', 'twenty-second', 'twenty-third', 'twenty-fourth', 'twenty-fifth', 'twenty-sixth'],
  ...['twenty-seventh', 'twenty-eighth', 'twenty-ninth', 'thirtieth', 'thirty-first'],
]

/** `1st` to `31st`; `22th` is one too, `2th` is none. */
const DIGIT_ORDINALS: readonly (readonly [string, number | string])[] = [
  ...(['1st', '2nd', '3rd', '21st', '22nd', '23rd', '31st'] as const).map(
    (word) => [word, Number.parseInt(word, 10)] as const,
  ),
  ['last', 'L'],
  ...Array.from({ length: 27 }, (_, index) => [`${index + 4}th`, index + 4] as const),
]

export const MONTH_DAY_WORDS: ReadonlyMap<string, number | string> = new Map<string, number | string>([
  ...DIGIT_ORDINALS,
  ...numbered(ORDINALS, 1),
])

const WEEKDAY_NAMES = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const SHORT_WEEKDAY_NAMES = WEEKDAY_NAMES.map((name) => name.slice(0, 3))

export const weekdayOf = (word: string): number => SHORT_WEEKDAY_NAMES.indexOf(word.slice(0, 3).toLowerCase())

/** Alternatives in their order: the first that matches counts, so "fourteen" is read as "four" and what follows is refused. */
export const wordPattern = (words: Iterable<string>): string => `(?:${[...words].join('|')})`

export const WEEKDAY_PATTERN = `${wordPattern([...WEEKDAY_NAMES, ...SHORT_WEEKDAY_NAMES])}(?=$|[-, \\t])`

const INTERVALS = 'seconds? minutes? hours? days? months? sec min s m h d M'.split(' ')
export const INTERVAL_PATTERN = wordPattern(INTERVALS)

const POINTS = 'minutes? mins? seconds? secs? hours? hou h'.split(' ')
export const POINT_PATTERN = wordPattern(POINTS)
