/** Runs one task at a time, in the order of the calls; an error rejects the promise of its caller and stops no later task. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Resolves when every task requested so far has ended. */
  get end(): Promise<unknown> {
    return this.#last
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => undefined)
    return turn
  }

  /** Resolves when the turn has come. The turn lasts until the caller calls the returned function. */
  begin(): Promise<() => void> {
    return new Promise((resolve) => {
      void this.take(() => new Promise<void>((end) => resolve(end)))
    })
  }
}
