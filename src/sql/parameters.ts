/** The values of a statement whose text is put together: each gets the next number. */
export class Parameters {
  readonly values: unknown[] = []

  /** Answers the placeholder of a value, with its type. */
  add(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }
}

const names = new Map<string, string>()

/** The name under which a connection prepares a text once; `kind` is what a person reads in pg_prepared_statements. */
export const statementName = (kind: string, text: string): string => {
  const known = names.get(text)
  if (known !== undefined) return known
  const name = `${kind}_${names.size + 1}`
  names.set(text, name)
  return name
}
