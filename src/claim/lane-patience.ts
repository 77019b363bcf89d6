import { endsWithin } from '../time.ts'
import type { Lane } from './lane.ts'

/** A claim waits that long for a table lock, too. */
const PATIENCE_MS = 15_000

/**
 * Waits for a result from a pool connection that the next claim of the lane needs, as long as the session of the lane lives. A
 * connection that died together with the session may stay silent long after the lane claims again.
 * @returns undefined if the session ended first
 * @throws if no result arrives within 15 seconds and the session lives
 */
export const answeredBeside = async <T>(lane: Lane, answer: Promise<T>): Promise<T | undefined> => {
  if (await endsWithin(answer, PATIENCE_MS, lane.sessionEnd)) return answer
  if (lane.sessionEnd.aborted) return undefined
  throw Object.assign(new Error(`no answer within ${PATIENCE_MS / 1000} s`), { code: 'ETIMEDOUT' })
}
