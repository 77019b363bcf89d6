import { endsWithin } from '../time.ts'
import type { Lane } from './lane.ts'

/** As long as a claim waits for a table lock. */
const PATIENCE_MS = 15_000

/**
 * Waits for the answer of a pool connection that the next claim of the lane needs, as long as the session of the lane lives. A connection that
 * died together with the session may stay silent long after the lane claims again.
 * @returns undefined when the session ended first
 * @throws when no answer comes within 15 seconds and the session lives
 */
export const answeredBeside = async <T>(lane: Lane, answer: Promise<T>): Promise<T | undefined> => {
  if (await endsWithin(answer, PATIENCE_MS, lane.sessionEnd)) return answer
  if (lane.sessionEnd.aborted) return undefined
  throw Object.assign(new Error(`no answer within ${PATIENCE_MS / 1000} s`), { code: 'ETIMEDOUT' })
}
