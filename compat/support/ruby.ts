import { describeWith } from './with-tools.ts'

/** `describe` for tests that need the Rails application. */
export const describeWithRuby = describeWith('ruby')
