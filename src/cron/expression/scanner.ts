/** Reads a text from its start. What has matched is never tried again in another way, as in the parsers of fugit. */
export class Scanner {
  readonly #text: string
  at = 0

  constructor(text: string) {
    this.#text = text
  }

  /** The match of a sticky pattern at the current place. The place is behind it then. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.#text)
    if (match === null) return undefined
    this.at = pattern.lastIndex
    return match
  }

  get isAtEnd(): boolean {
    return this.at === this.#text.length
  }
}

/** Reads one construct, or returns undefined and leaves the place as it was. */
export type Rule<T> = (scanner: Scanner) => T | undefined

export const pattern = (source: string, flags = ''): Rule<string> => {
  const regex = new RegExp(source, `${flags}y`)
  return (scanner) => scanner.match(regex)?.[0]
}

/** The first of the rules that matches. */
export const choice =
  <T>(...rules: readonly Rule<T>[]): Rule<T> =>
  (scanner) => {
    for (const rule of rules) {
      const value = rule(scanner)
      if (value !== undefined) return value
    }
    return undefined
  }

/** The value of the rule, or null if it does not match. */
export const maybe =
  <T>(rule: Rule<T>): Rule<T | null> =>
  (scanner) =>
    rule(scanner) ?? null

/** All rules, one behind the other. */
export const sequence =
  <T extends readonly unknown[]>(...rules: { readonly [K in keyof T]: Rule<T[K]> }): Rule<T> =>
  (scanner) => {
    const start = scanner.at
    const values: unknown[] = []
    for (const rule of rules) {
      const value = rule(scanner)
      if (value === undefined) {
        scanner.at = start
        return undefined
      }
      values.push(value)
    }
    return values as unknown as T
  }

/** One element or more. A separator without an element behind it is left unread. */
export const list =
  <T>(element: Rule<T>, separator: Rule<unknown>): Rule<T[]> =>
  (scanner) => {
    const values: T[] = []
    let end = scanner.at
    do {
      const value = element(scanner)
      if (value === undefined) {
        scanner.at = end
        break
      }
      values.push(value)
      end = scanner.at
    } while (separator(scanner) !== undefined)
    return values.length === 0 ? undefined : values
  }

export const mapped =
  <T, U>(rule: Rule<T>, transform: (value: T) => U): Rule<U> =>
  (scanner) => {
    const value = rule(scanner)
    return value === undefined ? undefined : transform(value)
  }
