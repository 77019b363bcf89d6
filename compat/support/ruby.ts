import { execFileSync } from 'node:child_process'
import { describe } from 'vitest'

/** Whether the machine has what compat/rails needs. On a machine of CI it must: there a skip is a failure. */
const hasRuby = (): boolean => {
  try {
    execFileSync('bundle', ['--version'], { stdio: 'ignore' })
    return true
  } catch (error) {
    if (process.env.CI === 'true')
      throw new Error('These tests need Ruby and Bundler, and CI skips none', { cause: error })
    return false
  }
}

/** `describe` for tests that need the Rails application; skipped, and shown as skipped, where there is no Ruby. */
export const describeWithRuby = describe.skipIf(!hasRuby())
