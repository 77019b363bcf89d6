/** Times of a lane. */
export const LANE_LIMITS = {
  /** The thread ends a round when the event loop was blocked for this many times the limit of a deferred start. */
  roundFactor: 4,
  minRoundMs: 50,
  /** This and `aliveAnswerMs` limit the time for which the server may have given the locks to other sessions before the lane knows. */
  aliveCheckMs: 5_000,
  aliveAnswerMs: 10_000,
  /** The same check for a lane that holds no lock. */
  idleAliveCheckMs: 30_000,
  closeGraceMs: 1_000,
  standbyPauseMs: 1_000,
}
