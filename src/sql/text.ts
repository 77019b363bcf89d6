/** The values of a statement whose text is assembled from parts: each value gets the next number. */
export class Parameters {
  readonly values: unknown[] = []

  /** Returns the placeholder of a value, with its type. */
  add(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }
}

const names = new Map<string, string>()

/**
 * A statement that each connection prepares once. Its name is derived from its text, so a name never stands for another text; `kind` is
 * the part of the name that a person reads in pg_prepared_statements.
 */
export const prepared = (kind: string, text: string, values: readonly unknown[]): PreparedStatement => ({
  name: nameOf(kind, text),
  text,
  values,
})

/** Like `prepared`, but without a name if a pooler may run the next transaction in another server process. */
export const preparedUnlessPooled = (
  { isPooled }: { readonly isPooled: boolean },
  kind: string,
  text: string,
  values: readonly unknown[],
): Omit<PreparedStatement, 'name'> => (isPooled ? { text, values } : prepared(kind, text, values))

interface PreparedStatement {
  readonly name: string
  readonly text: string
  readonly values: readonly unknown[]
}

const nameOf = (kind: string, text: string): string => {
  const known = names.get(text)
  if (known !== undefined) return known
  const name = `${kind}_${names.size + 1}`
  names.set(text, name)
  return name
}

/**
 * An array as the text of a parameter, for elements that need no quotes: ids, keys, times, numbers. pg quotes and escapes each
 * element, which for the outcomes of a hundred jobs takes as long as the rest of a statement. An array of nulls alone becomes an
 * empty one: `unnest` fills it up to the length of the other arrays.
 */
export const plainArray = (elements: readonly (string | number | null)[]): string =>
  isBlank(elements) ? '{}' : `{${elements.map((element) => element ?? 'NULL').join(',')}}`

/** Like `plainArray`, for any text. */
export const textArray = (elements: readonly (string | null)[]): string =>
  isBlank(elements) ? '{}' : `{${elements.map((element) => (element === null ? 'NULL' : quoted(element))).join(',')}}`

const isBlank = (elements: readonly unknown[]): boolean => elements.every((element) => element === null)

const quoted = (element: string): string => `"${element.replace(/["\\]/g, '\\$&')}"`

/**
 * GoodJob reads its clock once for each time column, in the order in which it saves the rows. A statement here gets one reading of
 * the worker's clock, `$n`. The time that the server has spent on the statement is added to get the later readings.
 */
export const sinceStatementBegan = (reading: string): string =>
  `${reading} + (clock_timestamp() - statement_timestamp())`

/** The midpoint of two times: for a time between them that Ruby would read, when one statement here does the work of both saves. */
export const between = (earlier: string, later: string): string => `${earlier} + (${later} - ${earlier}) / 2`

/**
 * An equality that only an index lookup on `column` can serve. With a plain equality the planner may read the whole index in its
 * order, for a merge. Over an empty table that plan seems as good, and a prepared statement keeps it while the table grows.
 */
export const byKey = (column: string, key: string): string => `${column} = ANY (ARRAY[${key}])`
