import type { Mutant } from './mutant.ts'

const HELD = 'test/claim/lane-held.test.ts'
const LATE = 'test/claim/late-answers.test.ts'

/** Who may start a job, and who still owns it. */
export const CLAIM_MUTANTS: readonly Mutant[] = [
  {
    name: 'a claim checks the results of the unlocks that it carries',
    file: 'src/claim/lane.ts',
    text: 'this.#doubtLocks(rows?.[0]?.missing)',
    replacement: 'this.#doubtLocks(0)',
    tests: {
      'test/claim/lane-held.test.ts': [
        'a claim that finds a lock missing makes the lane retake the others, starts deferred by 0 ms',
        'a claim that finds a lock missing makes the lane retake the others, starts deferred by 5 ms',
      ],
    },
  },
  {
    name: 'a separate release checks the results of its unlocks',
    file: 'src/claim/lane.ts',
    text: 'this.#doubtLocks(await this.guard(releaseAdvisoryLocks(this.session, keys)))',
    replacement: 'await this.guard(releaseAdvisoryLocks(this.session, keys))',
    tests: { 'test/claim/missing-locks.test.ts': ['a worker that shuts down checks its locks, too'] },
  },
  {
    name: 'a session with uncertain locks is abandoned',
    file: 'src/claim/lane.ts',
    text: "this.session.abandon(new Error('advisory",
    replacement: "void (new Error('advisory",
    tests: {
      'test/claim/missing-locks.test.ts': [
        'a lane whose locks another program released reports that and retakes them, with { deferStart: 5 }',
        'a job that another worker took while its lock was missing gets',
      ],
    },
  },
  {
    name: 'a release after a failed claim releases the locks that the claim left',
    file: 'src/claim/lane.ts',
    text: 'if (this.locks.mayHoldStrays) return this.#releaseStrays()',
    replacement: '',
    tests: {
      'test/claim/lane-held.test.ts': [
        'a claim that fails before its releases',
        'a claim that fails after its releases',
      ],
    },
  },
  {
    name: 'a lock of a trigger is no stray lock',
    file: 'src/sql/advisory-lock.ts',
    text: "    AND mode = 'ExclusiveLock'\n",
    replacement: '',
    tests: {
      'test/claim/lane-held.test.ts': ['a claim that fails after its releases'],
    },
  },
  {
    name: 'a claim takes the advisory lock of each job',
    file: 'src/sql/claim/locked-candidates.ts',
    text: "ELSE pg_try_advisory_lock(${jobLockKeySql('id')}) END",
    replacement: 'ELSE true END',
    tests: { 'test/claim/locks.test.ts': ['a job whose advisory lock another session holds is skipped, and the next'] },
  },
  {
    name: 'a claim skips the jobs that run in its own session',
    file: 'src/sql/claim/locked-candidates.ts',
    text: '}) THEN false',
    replacement: '}) THEN true',
    tests: { 'test/claim/locks.test.ts': ['a running job whose locked_by_id was cleared is not started a second'] },
  },
  {
    name: 'a claim skips jobs with a locked_by_id',
    file: 'src/sql/claim/candidates.ts',
    text: 'finished_at IS NULL AND locked_by_id IS NULL',
    replacement: 'finished_at IS NULL',
    tests: { 'test/claim/locks.test.ts': ['a job with a locked_by_id is not started, although no session holds its'] },
  },
  {
    name: 'a claim skips finished jobs',
    file: 'src/sql/claim/candidates.ts',
    text: '`finished_at IS NULL AND locked_by_id IS NULL',
    replacement: '`locked_by_id IS NULL',
    tests: { 'test/claim/candidates.test.ts': ['a lane claims exactly the jobs that a plain query finds, in the'] },
  },
  {
    name: 'a claim skips jobs that are not due',
    file: 'src/sql/claim/candidates.ts',
    text: 'AND scheduled_at <= ${parameters.add(options.dueUntil, facts.timestampType)}',
    replacement: "AND scheduled_at <= ${parameters.add('infinity', facts.timestampType)}",
    tests: { 'test/claim/order.test.ts': ['jobs scheduled in the future and jobs without a scheduled_at are not'] },
  },
  {
    name: 'a claim takes the row lock of a job in an ordered queue',
    file: 'src/sql/claim/candidates.ts',
    text: `  LIMIT \${this.#selectLimit}
  FOR NO KEY UPDATE SKIP LOCKED\``,
    replacement: '  LIMIT ${this.#selectLimit}`',
    tests: { 'test/claim/locks.test.ts': ['a row locked by another transaction is skipped without a wait'] },
  },
  {
    name: 'a claim takes the row lock of a job in a single queue',
    file: 'src/sql/claim/candidates.ts',
    text: `from)}
  FOR NO KEY UPDATE SKIP LOCKED\``,
    replacement: 'from)}`',
    tests: { 'test/claim/revalidation.test.ts': [] },
  },
  {
    name: 'only registered classes are claimed',
    file: 'src/sql/claim/candidates.ts',
    text: "AND job_class = ANY (${parameters.add(options.jobClasses, 'text[]')})",
    replacement: "AND (job_class = ANY (${parameters.add(options.jobClasses, 'text[]')}) OR true)",
    tests: { 'test/claim/order.test.ts': ['jobs of other classes are neither claimed, failed nor discarded'] },
  },
  {
    name: 'jobs start by priority first',
    file: 'src/sql/claim/candidates.ts',
    text: '`${table}.priority ASC NULLS LAST, ${table}.created_at ASC`',
    replacement: '`${table}.created_at ASC, ${table}.priority ASC NULLS LAST`',
    tests: { 'test/claim/order.test.ts': ['jobs run by priority, those without a priority last, then by creation'] },
  },
  {
    name: 'locks are taken again for claims of this process only',
    file: 'src/sql/claim/claim.ts',
    text: 'WHERE locked_by_id IS NOT DISTINCT FROM $3::uuid',
    replacement: 'WHERE $3::uuid IS NOT NULL',
    tests: { 'test/sql/fences.test.ts': ['but not with another owner', 'but not with no owner'] },
  },
  {
    name: 'locks are taken again for the very claim only',
    file: 'src/sql/claim/claim.ts',
    text: `    AND good_jobs.locked_at = claimed.locked_at
    AND finished_at IS NULL
)`,
    replacement: `    AND finished_at IS NULL
)`,
    tests: { 'test/sql/fences.test.ts': ['but not with a later claim of the same owner', 'but not with no stamp'] },
  },
  {
    name: 'a job keeps running after a lost session only with its lock',
    file: 'src/sql/claim/claim.ts',
    text: "SELECT id FROM ours WHERE pg_try_advisory_lock(${jobLockKeySql('id')})",
    replacement: 'SELECT id FROM ours',
    tests: { 'test/claim/lane.test.ts': ['a lane whose session is terminated takes the locks of its running jobs'] },
  },
  {
    name: 'claims with an attempt are not released as unknown',
    file: 'src/sql/claim/claim.ts',
    text: 'AND id <> ALL ($2::uuid[])\n    AND (locked_at = ANY',
    replacement: 'AND $2::uuid[] IS NOT NULL\n    AND (locked_at = ANY',
    tests: { 'test/claim/lane-held.test.ts': ['of a claim whose answer was lost only jobs without an attempt are'] },
  },
  {
    name: 'claims whose answer was lost are released',
    file: 'src/claim/lane.ts',
    text: 'if (rows === undefined) this.locks.doubt(now)',
    replacement: '',
    tests: { 'test/claim/lane.test.ts': ['a claim whose answer was lost is released, so the job runs'] },
  },
  {
    name: 'a claim is not released by the end of an older attempt of the same job',
    file: 'src/claim/lock-ledger.ts',
    text: 'if (this.#held.get(id)?.lockedAt !== lockedAt) return',
    replacement: 'if (!this.#held.has(id)) return',
    tests: { 'test/claim/lane-held.test.ts': ['the end of an attempt keeps the lock of a newer attempt of the same'] },
  },
  {
    name: 'locks that a cancelled statement took are released',
    file: 'src/claim/lane.ts',
    text: '        this.locks.noteStrays()\n',
    replacement: '',
    tests: { 'test/claim/session-loss.test.ts': ['a claim that is cancelled half-way keeps no advisory lock'] },
  },
  {
    name: 'a start without an answer is uncertain as soon as its session ends',
    file: 'src/claim/round-lane.ts',
    text: "sessionEnd.addEventListener('abort', end, { once: true })\n",
    replacement: '',
    tests: { [LATE]: ['a start without an answer is released by the recovery, so the job'] },
  },
  {
    name: 'a claim that is uncertain since the recovery began is released by it',
    file: 'src/claim/lane-recovery.ts',
    text: 'claimedAt, claimedBefore: null })\n',
    replacement: 'claimedAt, claimedBefore: null })\n        return\n',
    tests: { [HELD]: ['an uncertain claim reported while other uncertain claims are being'] },
  },
  {
    name: 'a failed recovery keeps the uncertain claims',
    file: 'src/claim/lane-recovery.ts',
    text: 'for (const stamp of claimedAt) this.#locks.doubt(stamp)',
    replacement: '',
    tests: { [HELD]: ['an uncertain claim is still released after a recovery that failed'] },
  },
  {
    name: 'a cancelled release keeps the session',
    file: 'src/claim/lane.ts',
    text: 'if (sqlState(error) === undefined) return this.session',
    replacement: 'if (error instanceof Error) return this.session',
    tests: { [HELD]: ['a release that Postgres cancels is tried again'] },
  },
  {
    name: 'a release during a recovery comes after it',
    file: 'src/claim/lane.ts',
    text: '    await this.#recovered\n    await this.turns.end\n',
    replacement: '    await this.turns.end\n',
    tests: { [HELD]: ['a lock that a new session took for an attempt that has ended'] },
  },
  {
    name: 'no key is kept from a session for the next one',
    file: 'src/claim/lock-ledger.ts',
    text: 'if (isSessionUp) this.#releasable',
    replacement: 'this.#releasable',
    tests: { 'test/claim/lock-ledger.test.ts': ['an attempt that ends between two sessions leaves no key for the'] },
  },
  {
    name: 'a new session has no stray locks and nothing to release',
    file: 'src/claim/lock-ledger.ts',
    text: '    this.#releasable = []\n    this.#mayHoldStrays = false\n',
    replacement: '',
    tests: { 'test/claim/lock-ledger.test.ts': ['a new session starts without releasable keys'] },
  },
  {
    name: 'a round that is never closed ends its turn',
    file: 'src/claim/round-lane.ts',
    text: 'this.session.abandon(error, sessionEnd)\n        endTurn()',
    replacement: 'this.session.abandon(error, sessionEnd)',
    tests: { [HELD]: ['a round that is never closed is abandoned by its session, and the'] },
  },
  {
    name: 'a lane checks that its session lives',
    file: 'src/claim/lane.ts',
    text: 'if (!this.isReady || this.#isProven()) return',
    replacement: 'return',
    tests: { 'test/claim/session-loss.test.ts': ['the unnoticed end of a session is detected within twenty seconds'] },
  },
  {
    name: 'an attempt whose claim was lost gets its signal aborted',
    file: 'src/claim/lane-recovery.ts',
    text: '    if (lost.length > 0) onClaimsLost(lost)\n',
    replacement: '',
    tests: { 'test/claim/lane.test.ts': ['a job that another worker took while the lane was disconnected gets its'] },
  },
  {
    name: 'locks that a new session took for an ended attempt are released',
    file: 'src/claim/lock-ledger.ts',
    text: 'for (const id of kept) if (!this.#held.has(id)) this.#releasable.push(jobLockKey(id))',
    replacement: '',
    tests: { 'test/claim/lane-held.test.ts': ['a lock that a new session took for an attempt that has ended'] },
  },
  {
    name: 'every execution that was interrupted is closed by the next claim',
    file: 'src/sql/claim/start-jobs.ts',
    text: 'AND locked.performed_at IS NOT NULL AND finished_at IS NULL',
    replacement: 'AND false',
    tests: { 'test/worker/shutdown.test.ts': ['a process that is killed leaves its job'] },
  },
  {
    name: 'the count of attempts stays within its column',
    file: 'src/sql/claim/start-jobs.ts',
    text: '`least(coalesce(executions_count, 0), ${INT4_MAX - 1}) + 1`',
    replacement: '`coalesce(executions_count, 0) + 1`',
    tests: { 'test/perform/completer.test.ts': ['a claim of rows with out-of-range numbers starts these rows and'] },
  },
  {
    name: 'a wake-up queries jobs before the position also while the head is expensive',
    file: 'src/claim/claim-cursor.ts',
    text: "this.#cost.isCheap ? 'anyJob' : 'newlyDue'",
    replacement: "this.#cost.isCheap ? 'anyJob' : 'nothing'",
    tests: { 'test/claim/cursor-states.test.ts': ['at position, expensive head, after a wake-up'] },
  },
  {
    name: 'a pool that claimed every due job always queries released ones',
    file: 'src/claim/claim-cursor.ts',
    text: "this.#wanted === 'anyJob' || nowMs >= this.#anyJobAtMs",
    replacement: "this.#wanted === 'anyJob'",
    tests: {
      'test/claim/cursor-states.test.ts': [
        'at drained, expensive head, after the pause of the last query at the head',
        'at end, expensive head, after the pause of the last query at the head',
      ],
    },
  },
  {
    name: 'a query that names its queues says nothing about the cost of the head',
    file: 'src/claim/claim-cursor.ts',
    text: 'if (!namesQueues) this.#cost',
    replacement: 'this.#cost',
    tests: { 'test/claim/claim-cursor.test.ts': ['may name its queues while it is expensive; its duration says'] },
  },
]
