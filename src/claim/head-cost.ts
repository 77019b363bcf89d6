/** A query at the head of the queue that takes no longer than `CHEAP_QUERY_MS + CHEAP_JOB_MS × jobs returned` is cheap, milliseconds. */
const CHEAP_QUERY_MS = 5
const CHEAP_JOB_MS = 0.2
/** A query at the head is also cheap when it takes up to this many times the duration of a claim from the position for as many jobs. */
const CHEAP_FACTOR = 2
/** Weight of the last claim in the moving average. */
const SMOOTHING = 0.2
/** Queries away from the position take about a tenth of the time: after one of t ms the next waits `PAUSE_FACTOR × t`. */
const PAUSE_FACTOR = 10
const MAX_PAUSE_MS = 5_000
/** A query for newly due jobs that takes up to this long waits for nothing, milliseconds. */
const CHEAP_NEWLY_DUE_MS = 50

/**
 * What is known of the cost of a query at the head of the queue. The query is expensive when it has to skip many jobs of other
 * workers, jobs that are not due, or dead index entries. An expensive query is not repeated on every wake-up.
 */
export interface HeadCost {
  /** Whether the last query at the head was cheap. */
  readonly isCheap: boolean
  /** Duration of a claim from the position for each job, milliseconds; a moving average. 0: unknown. */
  readonly positionMsPerJob: number
}

export const INITIAL_COST: HeadCost = { isCheap: true, positionMsPerJob: 0 }

/** The cost after a query at the head that took `tookMs` and returned this number of jobs. */
export const afterHeadQuery = (cost: HeadCost, tookMs: number, jobs: number): HeadCost => ({
  isCheap: tookMs < Math.max(CHEAP_QUERY_MS + CHEAP_JOB_MS * jobs, CHEAP_FACTOR * cost.positionMsPerJob * jobs),
  positionMsPerJob: cost.positionMsPerJob,
})

/** The cost after a claim from the position that took `tookMs` and returned this number of jobs, at least one. */
export const afterPositionQuery = (cost: HeadCost, tookMs: number, jobs: number): HeadCost => {
  const { isCheap, positionMsPerJob: average } = cost
  const latest = tookMs / jobs
  return { isCheap, positionMsPerJob: average === 0 ? latest : (1 - SMOOTHING) * average + SMOOTHING * latest }
}

/** Milliseconds until a query that took `tookMs` may be repeated unless a wake-up asks for it. */
export const pauseMs = (tookMs: number): number => Math.min(PAUSE_FACTOR * tookMs, MAX_PAUSE_MS)

/** Milliseconds until the next query for newly due jobs. A query that returned jobs was worth its time. */
export const newlyDuePauseMs = (tookMs: number, jobs: number): number =>
  jobs > 0 || tookMs < CHEAP_NEWLY_DUE_MS ? 0 : pauseMs(tookMs)
