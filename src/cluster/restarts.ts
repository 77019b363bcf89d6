/** A subprocess that ends sooner has failed to start. GoodJob 4.23.1 supervisor.rb: MIN_HEALTHY_UPTIME. */
const MIN_HEALTHY_UPTIME_MS = 10_000
/** Seconds. GoodJob 4.23.1 supervisor.rb: MIN_BACKOFF_DELAY and MAX_BACKOFF_DELAY. */
const MIN_DELAY = 1
const MAX_DELAY = 30

/** How one subprocess lived. */
export interface Life {
  readonly uptimeMs: number
  /** Whether it ever worked. */
  readonly wasReady: boolean
  /** The count with which it was started. */
  readonly restartCount: number
}

/**
 * How many subprocesses in a row failed to start. GoodJob 4.23.1 supervisor.rb#restart_count_after asks only for the uptime; a
 * subprocess that waited for Postgres until its connect timeout did not start either.
 */
export const nextRestartCount = ({ uptimeMs, wasReady, restartCount }: Life): number =>
  uptimeMs < MIN_HEALTHY_UPTIME_MS || !wasReady ? restartCount + 1 : 0

/** Seconds until the replacement starts: 0, 0, 1, 2, 4, … 30. GoodJob 4.23.1 supervisor.rb#backoff_delay. */
export const restartDelay = (restartCount: number): number =>
  restartCount < 2 ? 0 : Math.min(MIN_DELAY * 2 ** (restartCount - 2), MAX_DELAY)
