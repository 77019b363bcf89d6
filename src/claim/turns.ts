/** One thing at a time, in the order asked for; an error goes to whoever asked, and stops no later turn. */
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

  /** Resolves when the turn has come; it lasts until the function that this resolves with is called. */
  begin(): Promise<() => void> {
    return new Promise((resolve) => {
      void this.take(() => new Promise<void>((end) => resolve(end)))
    })
  }
}
