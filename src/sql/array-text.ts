/**
 * An array as the text of a parameter, of elements that need no quotes: ids, keys, times, numbers. pg quotes and escapes each element,
 * which for the outcomes of a hundred jobs takes as long as the rest of a statement.
 */
export const plainArray = (elements: readonly (string | number | null)[]): string =>
  `{${elements.map((element) => element ?? 'NULL').join(',')}}`

/** An array of any text as the text of a parameter. */
export const textArray = (elements: readonly (string | null)[]): string =>
  `{${elements.map((element) => (element === null ? 'NULL' : quoted(element))).join(',')}}`

const quoted = (element: string): string => `"${element.replace(/["\\]/g, '\\$&')}"`
