import type { Mutant } from './mutant.ts'

const MANAGER = 'test/cron/manager.test.ts'
const FUNCTIONS = 'test/cron/functions.test.ts'
const ENTRIES = 'test/cron/entries.test.ts'
const STEERING = 'test/cron/steering.test.ts'

/** Cron entries: each occurrence once, never early, and no failure ends an entry. */
export const CRON_MUTANTS: readonly Mutant[] = [
  {
    name: 'an occurrence is never early',
    file: 'src/cron/runner.ts',
    text: 'now < due; now = this.#now()',
    replacement: 'now.getTime() + 1 < due.getTime(); now = this.#now()',
    tests: { [MANAGER]: ['an occurrence is never early'] },
  },
  {
    name: 'an entry follows a clock that was set back',
    file: 'src/cron/runner.ts',
    text: 'if (now < from) [due, from] = [entry.next(now) ?? due, now]',
    replacement: '',
    tests: { [MANAGER]: ['a clock that was ahead does not silence an entry', 'a clock that is set back an hour'] },
  },
  {
    name: 'the next occurrence is calculated from the time of the wake-up, so those between are skipped',
    file: 'src/cron/runner.ts',
    text: '      since = this.#now()\n      await this.fire(due)',
    replacement: '      since = due\n      await this.fire(due)',
    tests: { [MANAGER]: ['after a late wake-up the armed occurrence has its nominal instant'] },
  },
  {
    name: 'occurrences that a change of the clocks skips are reported',
    file: 'src/cron/runner.ts',
    text: "if (isAfterSkip) skip(entry, undefined, source, 'clock_change')",
    replacement: '',
    tests: { 'test/cron/clock-changes.test.ts': ['where Ruby raises, the skipped occurrence is reported'] },
  },
  {
    name: 'an occurrence is tried again while Postgres is unreachable',
    file: 'src/cron/runner.ts',
    text: 'return next === undefined || next > this.#now()',
    replacement: 'return false',
    tests: { [MANAGER]: ['an occurrence is tried again until Postgres responds'] },
  },
  {
    name: 'an occurrence is given up when the next one is due',
    file: 'src/cron/runner.ts',
    text: 'return next === undefined || next > this.#now()',
    replacement: 'return true',
    tests: { [MANAGER]: ['an occurrence is skipped when the next one is due'] },
  },
  {
    name: 'a schedule function that does not move on is no busy loop',
    file: 'src/cron/runner.ts',
    text: 'this.#previous === undefined || next > this.#previous',
    replacement: 'true',
    tests: { [FUNCTIONS]: ['that does not move on is called again later'] },
  },
  {
    name: 'switches are read at each occurrence',
    file: 'src/cron/runner.ts',
    text: "await inPart('settings', () => this.#switches.isEnabled(entry, report))",
    replacement: 'true',
    tests: { [MANAGER]: ['are read at each occurrence'] },
  },
  {
    name: 'the row of an occurrence has its instant',
    file: 'src/enqueue/job-row.ts',
    text: 'cron_at: cron ? columnText(cron.at) : null,',
    replacement: 'cron_at: null,',
    tests: { [MANAGER]: ['an occurrence is one row with key'] },
  },
  {
    name: 'an occurrence that another process has enqueued is no error of the enqueue',
    file: 'src/job/enqueuing.ts',
    text: 'if (job.enqueueError instanceof CronConflictError) return',
    replacement: '',
    tests: { [MANAGER]: ['of several managers one enqueues each occurrence'] },
  },
  {
    name: 'the graceful restart period begins after the newest row of the key',
    file: 'src/cron/manager.ts',
    text: 'last?.getTime() ?? Number.NEGATIVE_INFINITY',
    replacement: 'Number.NEGATIVE_INFINITY',
    tests: { [MANAGER]: ['enqueues what was missed before the start'] },
  },
  {
    name: 'arguments are serialized at the start',
    file: 'src/cron/entries.ts',
    text: '  assertStorable(entry)\n',
    replacement: '',
    tests: { [ENTRIES]: ['arguments that cannot be stored', 'keyword arguments that cannot be stored'] },
  },
  {
    name: 'hashes of GOOD_JOB_CRON have symbol keys',
    file: 'src/cron/members.ts',
    text: 'isObject(value) ? symbolKeys(mapValues(value, asRubyReads)) : value',
    replacement: 'isObject(value) ? mapValues(value, asRubyReads) : value',
    tests: { [ENTRIES]: ['JSON has GoodJob’s names'] },
  },
  {
    name: 'a change of the switches is made by the statement, not from a value that was read before',
    file: 'src/sql/cron/settings.ts',
    text: "SET value = ${listed('setting.value')} || jsonb_build_array($2::text), updated_at",
    replacement:
      "SET value = (SELECT ${listed('old.value')} FROM good_job_settings AS old WHERE old.key = $1::text) || jsonb_build_array($2::text), updated_at",
    tests: { [STEERING]: ['lose no change of each other'] },
  },
  {
    name: 'switches are taken in one order',
    file: 'src/sql/cron/settings.ts',
    text: "if (!isOn) await rowsOf(db, { text: LOCK_CRON_SETTING, values: ['cron_keys_enabled'] })",
    replacement: '',
    tests: { [STEERING]: ['lose no change of each other'] },
  },
  {
    name: 'two modules have no entry with one key',
    file: 'src/cli/start/load-jobs.ts',
    text: 'if (other !== undefined) {\n        throw new ModuleError(\n          `two cron entries',
    replacement: 'if (false as boolean) {\n        throw new ModuleError(\n          `two cron entries',
    tests: { 'test/cli/cron.test.ts': ['refuses two entries with one key'] },
  },
]
