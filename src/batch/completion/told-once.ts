/** Batches of a process whose state needs a person, at most; an older one would be told again. */
const LIMIT = 10_000

/** Remembers what was told, so that what stays as it is need not be told at every look. */
export class ToldOnce {
  readonly #told = new Set<string>()

  /** Whether this is told for the first time, from now on no longer. */
  isNew(what: string): boolean {
    if (this.#told.has(what)) return false
    this.#told.add(what)
    const [oldest] = this.#told
    if (this.#told.size > LIMIT && oldest !== undefined) this.#told.delete(oldest)
    return true
  }
}
