import type { Mutant } from './mutant.ts'

/** Who may start a job, and who still owns it. */
export const CLAIM_MUTANTS: readonly Mutant[] = [
  {
    name: 'a claim takes the advisory lock of each job',
    file: 'src/sql/locked-candidates.ts',
    text: "ELSE pg_try_advisory_lock(${jobLockKeySql('id')}) END",
    replacement: 'ELSE true END',
    tests: { 'test/claim/locks.test.ts': [] },
  },
  {
    name: 'a claim passes by the jobs that run in its own session',
    file: 'src/sql/locked-candidates.ts',
    text: '}) THEN false',
    replacement: '}) THEN true',
    tests: { 'test/claim/locks.test.ts': [] },
  },
  {
    name: 'a claim passes by jobs that have an owner',
    file: 'src/sql/claim-candidates.ts',
    text: 'finished_at IS NULL AND locked_by_id IS NULL',
    replacement: 'finished_at IS NULL',
    tests: { 'test/claim/locks.test.ts': [] },
  },
  {
    name: 'a claim passes by finished jobs',
    file: 'src/sql/claim-candidates.ts',
    text: '`finished_at IS NULL AND locked_by_id IS NULL',
    replacement: '`locked_by_id IS NULL',
    tests: { 'test/claim/candidates.test.ts': [], 'test/claim/revalidation.test.ts': [] },
  },
  {
    name: 'a claim passes by jobs that are not due',
    file: 'src/sql/claim-candidates.ts',
    text: 'AND scheduled_at <= ${parameters.add(options.dueUntil, facts.timestampType)}',
    replacement: "AND scheduled_at <= ${parameters.add('infinity', facts.timestampType)}",
    tests: { 'test/claim/order.test.ts': [], 'test/claim/candidates.test.ts': [] },
  },
  {
    name: 'a claim takes the row lock of a job in an ordered queue',
    file: 'src/sql/claim-candidates.ts',
    text: `  LIMIT \${this.#selectLimit}
  FOR NO KEY UPDATE SKIP LOCKED\``,
    replacement: '  LIMIT ${this.#selectLimit}`',
    tests: { 'test/claim/locks.test.ts': [], 'test/claim/revalidation.test.ts': [] },
  },
  {
    name: 'a claim takes the row lock of a job in a single queue',
    file: 'src/sql/claim-candidates.ts',
    text: `from)}
  FOR NO KEY UPDATE SKIP LOCKED\``,
    replacement: 'from)}`',
    tests: { 'test/claim/revalidation.test.ts': [] },
  },
  {
    name: 'only registered classes are claimed',
    file: 'src/sql/claim-candidates.ts',
    text: "AND job_class = ANY (${parameters.add(options.jobClasses, 'text[]')})",
    replacement: "AND (job_class = ANY (${parameters.add(options.jobClasses, 'text[]')}) OR true)",
    tests: { 'test/claim/order.test.ts': [] },
  },
  {
    name: 'jobs start by priority first',
    file: 'src/sql/claim-candidates.ts',
    text: '`${table}.priority ASC NULLS LAST, ${table}.created_at ASC`',
    replacement: '`${table}.created_at ASC, ${table}.priority ASC NULLS LAST`',
    tests: { 'test/claim/order.test.ts': [] },
  },
  {
    name: 'a queue that is named twice is read once',
    file: 'src/sql/claim-candidates.ts',
    text: 'const [queue, ...others] = new Set(selector.queues)',
    replacement: 'const [queue, ...others] = selector.queues',
    tests: { 'test/claim/order.test.ts': [], 'test/claim/candidates.test.ts': [], 'test/claim/locks.test.ts': [] },
  },
  {
    name: 'locks are taken again for claims of this process only',
    file: 'src/sql/jobs-claim.ts',
    text: 'WHERE locked_by_id IS NOT DISTINCT FROM $3::uuid',
    replacement: 'WHERE $3::uuid IS NOT NULL',
    tests: { 'test/claim/lane.test.ts': [], 'test/claim/session-loss.test.ts': [] },
  },
  {
    name: 'locks are taken again for the very claim only',
    file: 'src/sql/jobs-claim.ts',
    text: `    AND good_jobs.locked_at = claimed.locked_at
    AND finished_at IS NULL
)`,
    replacement: `    AND finished_at IS NULL
)`,
    tests: { 'test/claim/lane.test.ts': [], 'test/claim/session-loss.test.ts': [] },
  },
  {
    name: 'a job keeps running after a lost session only with its lock',
    file: 'src/sql/jobs-claim.ts',
    text: "SELECT id FROM ours WHERE pg_try_advisory_lock(${jobLockKeySql('id')})",
    replacement: 'SELECT id FROM ours',
    tests: { 'test/claim/lane.test.ts': [], 'test/claim/session-loss.test.ts': [] },
  },
  {
    name: 'claims that an attempt knows are not given back as unknown',
    file: 'src/sql/jobs-claim.ts',
    text: 'AND id <> ALL ($2::uuid[])\n    AND (locked_at = ANY',
    replacement: 'AND $2::uuid[] IS NOT NULL\n    AND (locked_at = ANY',
    tests: { 'test/claim/lane-held.test.ts': ['of a claim whose answer was lost only what no attempt knows'] },
  },
  {
    name: 'claims whose answer was lost are given back',
    file: 'src/claim/lane.ts',
    text: 'if (rows === undefined) this.#uncertainClaims.push(now)',
    replacement: '',
    tests: { 'test/claim/lane.test.ts': [] },
  },
  {
    name: 'a claim is not given back by the end of an older attempt of the same job',
    file: 'src/claim/lane.ts',
    text: 'if (this.#held.get(id)?.lockedAt === lockedAt) {',
    replacement: 'if (this.#held.has(id)) {',
    tests: { 'test/claim/lane-held.test.ts': ['the end of an attempt leaves the lock of a newer one'] },
  },
  {
    name: 'locks that a cancelled statement took are released',
    file: 'src/claim/lane.ts',
    text: '        this.#mayHoldStrayLocks = true\n',
    replacement: '',
    tests: { 'test/claim/session-loss.test.ts': [] },
  },
  {
    name: 'a lane asks whether its session lives',
    file: 'src/claim/lane.ts',
    text: "if (this.#state !== 'ready' || this.#isProven()) return",
    replacement: 'return',
    tests: { 'test/claim/session-loss.test.ts': [] },
  },
  {
    name: 'an attempt whose claim was lost hears of it',
    file: 'src/claim/lane.ts',
    text: `    if (lost.length > 0) onClaimsLost(lost)
    if (!this`,
    replacement: '    if (!this',
    tests: { 'test/claim/lane.test.ts': [] },
  },
  {
    name: 'locks that were taken back for an attempt that has ended are released',
    file: 'src/claim/lane.ts',
    text: 'for (const id of kept) if (!this.#held.has(id)) this.#releasable.push(jobLockKey(id))',
    replacement: '',
    tests: { 'test/claim/lane-held.test.ts': ['a lock that is taken back for an attempt that has ended'] },
  },
  {
    name: 'every execution that was interrupted is closed by the next claim',
    file: 'src/sql/start-jobs.ts',
    text: 'AND locked.performed_at IS NOT NULL AND finished_at IS NULL',
    replacement: 'AND false',
    tests: { 'test/worker/shutdown.test.ts': [] },
  },
  {
    name: 'the count of attempts stays within its column',
    file: 'src/sql/start-jobs.ts',
    text: '`least(coalesce(executions_count, 0), ${INT4_MAX - 1}) + 1`',
    replacement: '`coalesce(executions_count, 0) + 1`',
    tests: { 'test/perform/completer.test.ts': [] },
  },
]
