import type { Mutant } from './mutant.ts'

const COMMIT = 'test/enqueue/commit.test.ts'
const CLIENT = 'test/enqueue/callers-client.test.ts'
const ROWS = 'test/enqueue/existing-rows.test.ts'

/** Uncommitted work is not reported as done, and nothing is stored outside of the given transaction. */
export const ENQUEUE_MUTANTS: readonly Mutant[] = [
  {
    name: 'a job of a rolled back transaction is new again',
    file: 'src/batch/members.ts',
    text: "return end !== 'committed'",
    replacement: 'return false',
    tests: { [COMMIT]: ['an added job can be added again, with its batch'] },
  },
  {
    name: 'a job of a transaction that was committed is not inserted a second time',
    file: 'src/batch/members.ts',
    text: "return end !== 'committed'",
    replacement: 'return true',
    tests: { [COMMIT]: ['a job that has run since then and whose row was deleted does not run a second time'] },
  },
  {
    name: 'a job of a transaction that is open elsewhere is refused',
    file: 'src/batch/members.ts',
    text: "if (end === 'in progress') {",
    // As a new job its insert would wait for that transaction, and the test for its time limit.
    replacement: "if (end === 'in progress') return false\n    if (false) {",
    tests: { [COMMIT]: ['a job of a transaction that is still open cannot join a batch outside of it'] },
  },
  {
    name: 'a member without a row refuses the batch',
    file: 'src/batch/members.ts',
    text: 'if (missing) {',
    replacement: 'if (missing && false) {',
    tests: { [ROWS]: ['refuse the batch with an error that names them if their rows were deleted meanwhile'] },
  },
  {
    name: 'a job is a member of one batch',
    file: 'src/batch/members.ts',
    text: 'if (other !== undefined && other !== batch.id) {',
    replacement: 'if (other !== undefined && false) {',
    tests: { [ROWS]: ['a job that is passed to two batches is refused'] },
  },
  {
    name: "no event is emitted for a batch in the caller's transaction",
    file: 'src/batch/enqueue.ts',
    text: '    const { stored } = await work(db, await database.factsFor(db))\n',
    replacement:
      '    const { stored, checked } = await work(db, await database.factsFor(db))\n    announceChecks(checked, checkOptionsOf(adapter))\n',
    tests: {
      [COMMIT]: ["of a batch in the caller's transaction are those of its jobs, marked as in a transaction, and none"],
    },
  },
  {
    name: 'a batch without a row accepts no members',
    file: 'src/batch/enqueue.ts',
    text: 'for (const batch of batches) if (!found.has(batch.id)) gone(batch)',
    replacement: '',
    tests: { [ROWS]: ['a batch whose row was deleted accepts no members'] },
  },
  {
    name: 'jobs of a block that failed are not enqueued',
    file: 'src/job/adapters/enqueue-buffer.ts',
    text: 'if (error !== undefined) for',
    replacement: 'if (false) for',
    tests: { [COMMIT]: ['of jobs of a block that throws are failed enqueues'] },
  },
  {
    name: 'a transaction is for one enqueue',
    file: 'src/job/enqueuing.ts',
    text: '    job[STATE].transaction = undefined\n    const { buffer }',
    replacement: '    const { buffer }',
    tests: { [COMMIT]: ['the transaction option of a job is not used again'] },
  },
  {
    name: 'a client without an open transaction is refused',
    file: 'src/job/adapters/transaction.ts',
    text: "if (client.getTransactionStatus() !== 'I') return",
    replacement: 'return',
    tests: { [CLIENT]: ['refuses a client whose transaction is over, or never began'] },
  },
  {
    name: 'a BEGIN that waits for its turn counts',
    file: 'src/job/adapters/transaction.ts',
    text: ' || client.readyForQuery !== true) return',
    replacement: ') return',
    tests: { [CLIENT]: ['accepts a client whose BEGIN is still under way'] },
  },
  {
    name: 'a pool is refused as a transaction',
    file: 'src/job/adapters/transaction.ts',
    text: 'if (isPool(transaction)) {',
    replacement: 'if (false) {',
    tests: { [CLIENT]: ['refuses a pool, which has no open transaction'] },
  },
  {
    name: 'a job with another transaction is refused in the block of a batch',
    file: 'src/enqueue/adapter.ts',
    text: 'if (transaction && transaction !== buffer.transaction) {',
    replacement: 'if (false) {',
    tests: { [CLIENT]: ['a job with a transaction of its own is refused in a batch that is not part of it'] },
  },
  {
    name: "schema facts from a caller's transaction are not used elsewhere",
    file: 'src/sql/database.ts',
    text: '    return callersFacts(transaction, {',
    replacement: '    if (transaction) return this.facts(transaction)\n    return callersFacts(transaction, {',
    tests: { [CLIENT]: ['inside an aborted transaction fails alone'] },
  },
  {
    name: 'a pool that can lend no connection is not waited for',
    file: 'src/sql/facts.ts',
    text: 'if (!isOwnPool && !canLend(pool)) return',
    replacement: 'if (false) return',
    tests: { [CLIENT]: ['inside a transaction with the only connection of the pool needs no second connection'] },
  },
  {
    name: 'a server without room for another connection still serves the transaction',
    file: 'src/sql/facts.ts',
    text: '    return readInside(transaction).catch(() => {\n      throw error\n    })',
    replacement: '    throw error',
    tests: { [CLIENT]: ['inside a transaction succeeds although the server accepts no further connection'] },
  },
  {
    name: 'a priority that is no integer is not cast',
    file: 'src/sql/jobs/actions.ts',
    text: "priority = ${priorityIn('serialized_params', 'coalesce(priority, 0)')},",
    replacement: "priority = coalesce((serialized_params->>'priority')::int, 0),",
    tests: {
      'test/batch/hostile-hashes.test.ts': ['a member whose hash lacks valid integers does not keep the'],
    },
  },
  {
    name: 'a count that is no integer is not cast',
    file: 'src/sql/stored-hash.ts',
    text: "CASE WHEN ${hash}->>'${key}' ~ '^[0-9]{1,9}$' THEN (${hash}->>'${key}')::int END",
    replacement: "(${hash}->>'${key}')::int",
    tests: {
      'test/batch/hostile-hashes.test.ts': ['a member whose hash lacks valid integers does not keep the'],
    },
  },
  {
    name: 'a job that joined in the transaction that inserted it stays of that transaction',
    file: 'src/batch/members.ts',
    text: '(isCallers ? job[STATE].insertedIn : undefined)',
    replacement: '(isCallers && false ? job[STATE].insertedIn : undefined)',
    tests: {
      'test/enqueue/commit.test.ts': ['a job that was enqueued and then put into a batch, all of it rolled back'],
    },
  },
]
