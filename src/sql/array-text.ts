/**
 * An array as the text of a parameter, of elements that need no quotes: ids, keys, times, numbers. pg quotes and escapes each element,
 * which for the outcomes of a hundred jobs takes as long as the rest of a statement. Nothing but nulls is no elements: `unnest`, which
 * reads it beside longer arrays, fills it up.
 */
export const plainArray = (elements: readonly (string | number | null)[]): string =>
  isBlank(elements) ? '{}' : `{${elements.map((element) => element ?? 'NULL').join(',')}}`

/** The same for any text. */
export const textArray = (elements: readonly (string | null)[]): string =>
  isBlank(elements) ? '{}' : `{${elements.map((element) => (element === null ? 'NULL' : quoted(element))).join(',')}}`

const isBlank = (elements: readonly unknown[]): boolean => elements.every((element) => element === null)

const quoted = (element: string): string => `"${element.replace(/["\\]/g, '\\$&')}"`
