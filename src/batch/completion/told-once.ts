/** At most this many reports are remembered; an older one would be reported again. */
const LIMIT = 10_000

/** Remembers what was reported, so that an unchanged state is not reported again by every check. */
export class ToldOnce {
  readonly #told = new Set<string>()

  /** True the first time, false from then on. */
  isNew(what: string): boolean {
    if (this.#told.has(what)) return false
    this.#told.add(what)
    const [oldest] = this.#told
    if (this.#told.size > LIMIT && oldest !== undefined) this.#told.delete(oldest)
    return true
  }
}
