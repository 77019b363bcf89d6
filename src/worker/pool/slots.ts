/** The slots of a pool: each running job and each job that a claim may return needs one. */
export class Slots {
  readonly #maxThreads: number
  /** Jobs whose `perform()` is running. */
  #running = 0
  #reserved = 0
  #whenIdle: (() => void)[] = []

  constructor(maxThreads: number) {
    this.#maxThreads = maxThreads
  }

  get running(): number {
    return this.#running
  }

  get free(): number {
    return Math.max(0, this.#maxThreads - this.#running - this.#reserved)
  }

  /** Keeps slots for the jobs of a claim until `release` is called. */
  reserve(slots: number): ReservedSlots {
    this.#reserved += slots
    let isReserved = true
    const release = () => {
      if (isReserved) this.#reserved -= slots
      isReserved = false
    }
    return { count: slots, release }
  }

  begin(): void {
    this.#running += 1
  }

  end(): void {
    this.#running -= 1
    if (this.#running === 0) for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Resolves when no job is running. */
  async idle(): Promise<void> {
    while (this.#running > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }
}

export interface ReservedSlots {
  readonly count: number
  release(): void
}
