/** The Rails whose workers read what Node writes. */
export type RailsVersion = '6.1' | '7.0' | '7.1' | '7.2' | '8.0' | '8.1' | 'main'

/** What Rails 7.2 reads, every later Rails reads too. */
export const DEFAULT_RAILS_VERSION: RailsVersion = '7.2'

/** In order of age. */
export const RAILS_VERSIONS: readonly RailsVersion[] = ['6.1', '7.0', '7.1', '7.2', '8.0', '8.1', 'main']

/** Whether `version` is `minimum` or later. */
export const atLeast = (version: RailsVersion, minimum: RailsVersion): boolean =>
  RAILS_VERSIONS.indexOf(version) >= RAILS_VERSIONS.indexOf(minimum)
