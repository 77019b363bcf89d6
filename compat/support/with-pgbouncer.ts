import { execFileSync } from 'node:child_process'
import { describe } from 'vitest'
import { PGBOUNCER_PATH } from './pgbouncer.ts'

/** Whether the machine has PgBouncer. On a machine of CI it must: there a skip is a failure. */
const hasPgBouncer = (): boolean => {
  try {
    execFileSync('pgbouncer', ['--version'], { env: { PATH: PGBOUNCER_PATH }, stdio: 'ignore' })
    return true
  } catch (error) {
    if (process.env.CI === 'true') throw new Error('These tests need PgBouncer, and CI skips none', { cause: error })
    return false
  }
}

/** `describe` for tests that need PgBouncer; skipped, and shown as skipped, where there is none. */
export const describeWithPgBouncer = describe.skipIf(!hasPgBouncer())
