/** Times of a lane. */
export const LANE_LIMITS = {
  /** The thread ends a round when the event loop was blocked for this many times the limit of a deferred start. */
  roundFactor: 4,
  minRoundMs: 50,
  /** This and `aliveAnswerMs` bound the time for which the server may have given our locks to others before we know. */
  aliveCheckMs: 5_000,
  aliveAnswerMs: 10_000,
  /** For a lane that holds no lock. */
  idleAliveCheckMs: 30_000,
  closeGraceMs: 1_000,
  standbyPauseMs: 1_000,
}
