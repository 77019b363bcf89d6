import type { Throttle } from '../../concurrency-option.ts'
import { COMPUTED, type PublishedRule } from '../../job/concurrency/published.ts'
import { findStarts, type ScopeWindow, windowOf } from '../../sql/concurrency/starts.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'

/** A throttle of a scope, with the starts that it counts. */
export interface CountedThrottle extends Throttle {
  readonly claimKey: string
  /** Starts within the window, the newest first; at most `count`. */
  readonly starts: readonly string[]
}

/** Reads the starts that the throttles of these scopes count. */
export const countThrottles = async (
  db: Queryable,
  facts: Facts,
  rules: readonly { readonly claimKey: string; readonly rule: PublishedRule }[],
  now: Date,
): Promise<CountedThrottle[]> => {
  const throttles = rules.flatMap(({ claimKey, rule: { throttle } }) =>
    throttle === null || throttle === COMPUTED ? [] : [{ claimKey, ...throttle }],
  )
  const unique = [...new Map(throttles.map((throttle) => [JSON.stringify(throttle), throttle])).values()]
  const windows = unique.map(({ claimKey, ...throttle }) => windowOf(claimKey, throttle, now))
  const starts = await findStarts(db, facts, windows)
  return unique.map((throttle, index) => ({ ...throttle, starts: starts.get(windows[index] as ScopeWindow) ?? [] }))
}

/** When the throttle allows the next start; undefined: now. A throttle of less than one start never does: null. */
export const opensAt = ({ count, seconds, starts }: CountedThrottle): Date | null | undefined => {
  if (starts.length < count) return undefined
  const oldest = starts[Math.ceil(count) - 1]
  return oldest === undefined ? null : new Date(Date.parse(oldest) + seconds * 1_000)
}

/** When all throttles of a scope allow a start; null: at once, or never. */
export const throttledUntil = (throttles: readonly CountedThrottle[], claimKey: string): Date | null => {
  const times = throttles.filter((throttle) => throttle.claimKey === claimKey).map(opensAt)
  const last = Math.max(...times.map((time) => time?.getTime() ?? Number.NEGATIVE_INFINITY))
  return Number.isFinite(last) ? new Date(last) : null
}
