import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 20

/**
 * Looks until `look` answers something truthy, and answers that; the only place in these tests where time passes. A `look`
 * that throws is asked again, and its last error is the failure's cause.
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
