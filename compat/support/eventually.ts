import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 20

/**
 * Calls `look` until it returns a truthy value, and returns that; the only place in these tests where time passes. A call
 * that throws is repeated, and the last error is the cause of the failure.
 * Throws after `timeoutMs`. @default 30000
 */
export const eventually = async <T>(
  what: string,
  look: () => Promise<T | undefined | null | false | 0 | ''>,
  timeoutMs = 30_000,
): Promise<T> => {
  const deadline = performance.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const seen = await look()
      if (seen) return seen
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > deadline)
      throw new Error(`After ${timeoutMs / 1000} s still not so: ${what}`, { cause: last })
    await sleep(LOOK_EVERY_MS)
  }
}
