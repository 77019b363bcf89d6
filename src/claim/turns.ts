/** One thing at a time, in the order asked for; an error goes to who asked, and stops nobody. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Resolves at the end of what was asked for until now. */
  get end(): Promise<unknown> {
    return this.#last
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }
}
