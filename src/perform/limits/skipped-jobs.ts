/** Jobs that could not be started although they had a place: another session seems to hold them. They are left out for a while. */
export class SkippedJobs {
  readonly #jobs = new Map<string, { readonly untilMs: number; readonly sinceMs: number }>()

  get ids(): readonly string[] {
    return [...this.#jobs.keys()]
  }

  /** When the first of them is tried again, epoch milliseconds; infinite without any. */
  get endsAtMs(): number {
    let first = Number.POSITIVE_INFINITY
    for (const { untilMs } of this.#jobs.values()) first = Math.min(first, untilMs)
    return first
  }

  add(id: string, times: { readonly untilMs: number; readonly sinceMs: number }): void {
    this.#jobs.set(id, times)
  }

  /** Forgets those whose time is over. Returns since when the first of them was left out, monotonic milliseconds. */
  passTime(nowMs: number): number | undefined {
    let first: number | undefined
    for (const [id, { untilMs, sinceMs }] of this.#jobs) {
      if (untilMs > nowMs) continue
      this.#jobs.delete(id)
      first = Math.min(first ?? sinceMs, sinceMs)
    }
    return first
  }
}
