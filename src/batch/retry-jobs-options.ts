import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { formatTimestamp } from '../serialize/job-data.ts'
import { atLeast } from '../serialize/rails-version.ts'
import type { RetryJobsOptions } from '../sql/jobs/actions.ts'
import { columnText } from '../time.ts'

/**
 * How a manual retry writes the rows of jobs. The keys that it replaces in serialized_params are Active Job's (core.rb#serialize;
 * scheduled_at since 7.1).
 */
export const retryJobsOptions = ({ configuration, clock }: EnqueueAdapter): RetryJobsOptions => {
  const { railsVersion, dequeueQuerySort, enableListenNotify } = configuration
  // The clock is read in the same order as in Active Job and GoodJob.
  const scheduledAt = clock.now()
  const enqueued_at = formatTimestamp(clock.now(), railsVersion)
  const scheduled_at = formatTimestamp(scheduledAt, railsVersion)
  const keys = atLeast(railsVersion, '7.1') ? { enqueued_at, scheduled_at } : { enqueued_at }
  return {
    scheduledAt: columnText(scheduledAt),
    now: clock.timestamp(),
    keys: JSON.stringify(keys),
    keepsCreatedAt: dequeueQuerySort === 'scheduled_at',
    isNotified: enableListenNotify,
  }
}
