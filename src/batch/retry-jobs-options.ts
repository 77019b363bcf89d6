import type { Adapter } from '../enqueue/adapter.ts'
import { formatTimestamp } from '../serialize/job-data.ts'
import { atLeast } from '../serialize/rails-version.ts'
import type { RetryJobsOptions } from '../sql/jobs-actions.ts'

/**
 * How a manual retry at `now` writes the rows of jobs. The keys of the hash that it replaces are Active Job's (core.rb#serialize;
 * scheduled_at since 7.1).
 */
export const retryJobsOptions = ({ configuration }: Adapter, now: string): RetryJobsOptions => {
  const { railsVersion, dequeueQuerySort, enableListenNotify } = configuration
  const time = formatTimestamp(new Date(now), railsVersion)
  const keys = atLeast(railsVersion, '7.1') ? { enqueued_at: time, scheduled_at: time } : { enqueued_at: time }
  return {
    now,
    keys: JSON.stringify(keys),
    keepsCreatedAt: dequeueQuerySort === 'scheduled_at',
    isNotified: enableListenNotify,
  }
}
