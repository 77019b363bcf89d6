import { formatTimestamp, type RailsVersion } from '../serialize/job-data.ts'
import { atLeast } from '../serialize/rails-version.ts'

/** The keys of the stored hash that a manual retry replaces, as JSON text. Active Job core.rb#serialize; scheduled_at since 7.1. */
export const retryKeys = (now: string, railsVersion: RailsVersion): string => {
  const time = formatTimestamp(new Date(now), railsVersion)
  return JSON.stringify(
    atLeast(railsVersion, '7.1') ? { enqueued_at: time, scheduled_at: time } : { enqueued_at: time },
  )
}
