import { describeWith } from './with-tools.ts'

/** `describe` for tests that need PgBouncer. */
export const describeWithPgBouncer = describeWith('pgbouncer')
