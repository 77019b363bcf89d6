import type { Mutant } from './mutant.ts'

const ENQUEUE = 'test/enqueue/concurrency.test.ts'
const BATCH = 'test/batch/concurrency.test.ts'
const VECTORS = 'test/enqueue/rule-vectors.test.ts'
const RULES = 'test/job/concurrency.test.ts'
const RACE = { 'test/enqueue/race.test.ts': ['two processes that enqueue at once with totalLimit 1 store one job'] }

/** Concurrency rules hold exactly, also between processes, and refuse no job that they do not count. */
export const CONCURRENCY_MUTANTS: readonly Mutant[] = [
  {
    name: 'an enqueue counts under the locks of its scopes',
    file: 'src/enqueue/adapter.ts',
    text: 'return this.database.transaction((db) => work(db, facts), opening)',
    replacement: 'return this.database.transaction((db) => work(db, facts))',
    tests: RACE,
  },
  {
    name: 'the count and the INSERT of an enqueue are one transaction',
    file: 'src/enqueue/adapter.ts',
    text: 'return this.database.transaction((db) => work(db, facts), opening)',
    replacement:
      'return this.database.transaction(async () => {}, opening).then(() => this.database.statement((db) => work(db, facts)))',
    tests: RACE,
  },
  {
    name: 'the locks of scopes are taken in one order',
    file: 'src/sql/concurrency/scope-locks.ts',
    text: '.sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))',
    replacement: '',
    tests: { [ENQUEUE]: ['two classes with the same rules in another order do not deadlock'] },
  },
  {
    name: 'a transaction of the caller with an old snapshot is refused',
    file: 'src/enqueue/rule-check.ts',
    text: 'if (await seesCommits(db)) return',
    replacement: 'return',
    tests: { [ENQUEUE]: ['of the level REPEATABLE READ it is refused by name'] },
  },
  {
    name: 'the time of a row is read under the locks',
    file: 'src/enqueue/adapter.ts',
    text: 'const work = async (db: Queryable, facts: Facts) => {\n      const options',
    replacement:
      'const early = jobRow(job, this.#rowOptions)\n    const work = async (db: Queryable, facts: Facts) => {\n      const jobRow = () => early\n      const options',
    tests: { [ENQUEUE]: ['the time of a row is read after the wait, so that a throttle counts the row from there'] },
  },
  {
    name: 'after callbacks do not run for a job that a rule refused',
    file: 'src/job/enqueuing.ts',
    text: 'if (isRefused) return ABORTED',
    replacement: '',
    tests: { [ENQUEUE]: ['around callbacks go on, after callbacks do not run'] },
  },
  {
    name: 'an accepted member counts for the members after it',
    file: 'src/enqueue/rule-check.ts',
    text: 'else for (const key of claimKeysOf(job))',
    replacement: 'else if (false) for (const key of claimKeysOf(job))',
    tests: { [BATCH]: ['stores the first jobs of the list up to the limit, and emits which jobs were refused'] },
  },
  {
    name: 'a refused member is not stored',
    file: 'src/batch/members.ts',
    text: '.filter((job) => !refusals.has(job))',
    replacement: '',
    tests: { [BATCH]: ['stores the first jobs of the list up to the limit, and emits which jobs were refused'] },
  },
  {
    name: 'a refused job of a bulk is not stored',
    file: 'src/enqueue/adapter.ts',
    text: '.filter((job) => !refused.has(job))',
    replacement: '',
    tests: { 'test/enqueue/bulk.test.ts': ['counts once, stores the first jobs of the list up to the limit'] },
  },
  {
    name: 'a transaction takes a limited number of locks',
    file: 'src/enqueue/rule-check.ts',
    text: 'if (scopes <= MAX_SCOPES) return',
    replacement: 'return',
    tests: { [BATCH]: ['more scopes than one transaction may lock are refused with the way out'] },
  },
  {
    name: 'an enqueueLimit leaves out jobs whose advisory lock a worker holds',
    file: 'src/sql/concurrency/enqueue.ts',
    text: " AND ${jobLockKeySql('id')} NOT IN (SELECT key FROM advisory)",
    replacement: '',
    tests: { [VECTORS]: ['E08 legacy enqueue_limit 1, a row with only the advisory lock does not count'] },
  },
  {
    name: 'a rule with a label is for the jobs that carry the label',
    file: 'src/job/concurrency/evaluation.ts',
    text: 'label !== null && labels.some((each) => rubyStrip(each) === label) ?',
    replacement: 'label !== null ?',
    tests: { [RULES]: ['P43 use the labels of the row, not those of the class'] },
  },
  {
    name: 'the key of a job is computed once',
    file: 'src/job/concurrency/evaluation.ts',
    text: 'job.concurrencyKey ??= computedKey(job, rules.control)',
    replacement: 'job.concurrencyKey = computedKey(job, rules.control)',
    tests: { 'test/job/rules.test.ts': ['is computed once per job'] },
  },
  {
    name: 'an async function of a rule does not lose the limit',
    file: 'src/job/concurrency/evaluation.ts',
    text: "  assertNoPromise('limit', limit)\n",
    replacement: '',
    tests: { [RULES]: ['an async limit throws TypeError'] },
  },
]
