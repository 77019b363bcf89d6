/** The version of the Rails application whose workers read the jobs that Node writes. */
export type RailsVersion = '6.1' | '7.0' | '7.1' | '7.2' | '8.0' | '8.1' | 'main'

/** Later Rails versions also read everything that Rails 7.2 reads. */
export const DEFAULT_RAILS_VERSION: RailsVersion = '7.2'

/** Oldest first. */
export const RAILS_VERSIONS: readonly RailsVersion[] = ['6.1', '7.0', '7.1', '7.2', '8.0', '8.1', 'main']

/** Whether `version` is `minimum` or later. */
export const atLeast = (version: RailsVersion, minimum: RailsVersion): boolean =>
  RAILS_VERSIONS.indexOf(version) >= RAILS_VERSIONS.indexOf(minimum)
