/** Whether the claims of a pool succeed. A pool that has nothing to claim, or no free slot, makes no claims. */
export class ClaimRecord {
  #hasSucceeded = false
  /** When the first claim began after the last one that succeeded. */
  #wantedSinceMs: number | undefined

  begin(nowMs: number): void {
    this.#wantedSinceMs ??= nowMs
  }

  succeed(): void {
    this.#hasSucceeded = true
    this.#wantedSinceMs = undefined
  }

  /** Whether any claim has ever succeeded. */
  get hasSucceeded(): boolean {
    return this.#hasSucceeded
  }

  /** Milliseconds for which claims have been failing, or one has been waiting for a response. */
  overdueMs(nowMs: number): number {
    return this.#wantedSinceMs === undefined ? 0 : nowMs - this.#wantedSinceMs
  }
}
