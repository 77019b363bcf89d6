import { Job } from '../../dist/index.js'

/** What limits the jobs of a contender. */
export interface Rule {
  /** Jobs have the keys bench-0 to bench-(keys - 1). */
  readonly keys: number
  readonly performLimit?: number
  readonly totalLimit?: number
  readonly enqueueThrottle?: readonly [count: number, seconds: number]
}

/** The class of jobs that have a key, with its rule. Jobs that are enqueued get the keys in turn; stored ones keep theirs. */
export const limitedClass = ({ keys, ...limits }: Rule, perform: (sentAt?: number) => Promise<void> | undefined) => {
  let enqueued = 0
  const nextKey = (): string => `bench-${enqueued++ % keys}`
  class LimitedNoopJob extends Job<[sentAt?: number]> {
    static override jobClass = 'LimitedNoopJob'
    static override queueAs = 'bench'
    static {
      LimitedNoopJob.controlConcurrencyWith({ key: keys === 1 ? 'bench-0' : nextKey, ...limits })
    }

    override perform(sentAt?: number): Promise<void> | undefined {
      return perform(sentAt)
    }
  }
  return LimitedNoopJob
}
