import type { Mutant } from './mutant.ts'

/** Which outcomes are written, and which are dropped. */
export const OUTCOME_MUTANTS: readonly Mutant[] = [
  {
    name: 'an outcome is written by the owner only',
    file: 'src/sql/jobs-outcome.ts',
    text: '    AND good_jobs.locked_by_id IS NOT DISTINCT FROM $9::uuid\n',
    replacement: '    AND $9::uuid IS NOT NULL\n',
    tests: { 'test/claim/session-loss.test.ts': [], 'test/claim/lane.test.ts': [] },
  },
  {
    name: 'an outcome is not written over a job that is finished',
    file: 'src/sql/jobs-outcome.ts',
    text: '    AND num_nulls(good_jobs.finished_at) = 1`',
    replacement: '`',
    tests: { 'test/worker/outcomes.test.ts': [] },
  },
  {
    name: 'an attempt that was told to stop and threw is dropped',
    file: 'src/perform/job-performer.ts',
    text: "(state === 'aborted' && result.error !== null)",
    replacement: 'false',
    tests: { 'test/worker/shutdown.test.ts': [] },
  },
  {
    name: 'an attempt whose job was withdrawn is dropped',
    file: 'src/perform/job-performer.ts',
    text: "state === 'withdrawn' || (",
    replacement: '(',
    tests: { 'test/operations/force-discard.test.ts': [], 'test/worker/outcomes.test.ts': [] },
  },
  {
    name: 'batch locks come before the rows',
    file: 'src/perform/outcome-transaction.ts',
    text: 'if (batchIds.size > 0) await lockTouchedBatches(db, batchIds)\n    const rows = await writeRows(db, attempts, context)',
    replacement:
      'const rows = await writeRows(db, attempts, context)\n    if (batchIds.size > 0) await lockTouchedBatches(db, batchIds)',
    tests: { 'test/batch/races.test.ts': [], 'test/batch/recovery.test.ts': [], 'test/batch/one-check.test.ts': [] },
  },
  {
    name: 'outcome and check are one transaction',
    file: 'src/perform/outcome-transaction.ts',
    text: 'const written = await inTransaction(db, async () => {',
    replacement:
      'const written = await (async (_db: unknown, work: () => Promise<Written>) => work())(db, async () => {',
    tests: { 'test/batch/crash.test.ts': [], 'test/batch/one-check.test.ts': [] },
  },
  {
    name: 'a batch that a job joined while it ran is checked',
    file: 'src/perform/outcome-transaction.ts',
    text: 'if (written.joined.size > 0) await checkJoined(db, written, context)',
    replacement: '',
    tests: { 'test/batch/api.test.ts': [] },
  },
  {
    name: 'a repeated outcome breaks its batch once',
    file: 'src/perform/outcome-transaction.ts',
    text: "as === 'written' && !repeated.has(attempt) ? ",
    replacement: "as === 'written' ? ",
    tests: { 'test/batch/guarantees.test.ts': [] },
  },
  {
    name: 'an outcome whose answer was lost is not written again',
    file: 'src/perform/outcome-transaction.ts',
    text: "return isWritten ? 'written' : 'lost'",
    replacement: "return 'lost'",
    tests: { 'test/batch/guarantees.test.ts': [], 'test/perform/completer.test.ts': [] },
  },
  {
    name: 'a finished job that is still locked is released',
    file: 'src/sql/jobs-outcome.ts',
    text: '  SET ${unlock(facts)}\n  FROM claimed',
    replacement: '  SET locked_at = good_jobs.locked_at\n  FROM claimed',
    tests: { 'test/worker/outcomes.test.ts': [], 'test/operations/force-discard.test.ts': [] },
  },
  {
    name: 'a lock is given up after the outcome, not before',
    file: 'src/perform/job-performer.ts',
    text: 'const unlocked = lane.release({ id: row.id, lockedAt: attempt.claimedAt })',
    replacement: 'const unlocked = Promise.resolve()',
    tests: { 'test/claim/locks.test.ts': [] },
  },
  {
    name: 'outcomes that wait for a lock are set apart',
    file: 'src/perform/outcome-writer.ts',
    text: 'sqlState(error) === LOCK_NOT_AVAILABLE ? await this.findBlocked(ours) : undefined',
    replacement: 'undefined',
    tests: { 'test/perform/held-outcomes.test.ts': [] },
  },
  {
    name: 'an outcome of a lost claim is dropped',
    file: 'src/perform/outcome-writer.ts',
    text: 'if (!attempt.isLost()) return true',
    replacement: 'return true',
    tests: { 'test/claim/lane.test.ts': [], 'test/claim/session-loss.test.ts': [] },
  },
]
