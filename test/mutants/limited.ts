import type { Mutant } from './mutant.ts'

/** What people see of concurrency rules: `why`, `doctor`, events. */
export const LIMITED_MUTANTS: readonly Mutant[] = [
  {
    name: 'why: a full scope that workers have published is named before a refusal by Ruby',
    file: 'src/maintenance/why/explain.ts',
    text: '\n  concurrencyRule,\n  concurrencyLimited,\n',
    replacement: '\n  concurrencyLimited,\n  concurrencyRule,\n',
    tests: { 'test/maintenance/explain-order.test.ts': ['concurrency_full comes before concurrency_limited'] },
  },
  {
    name: 'why: a label that a function returns counts only if a worker has counted it',
    file: 'src/maintenance/why/explain.ts',
    text: 'if (isAssumed && !counts.claimed.has(key)) continue',
    replacement: '',
    tests: { 'test/maintenance/explain-job.test.ts': ['would count a label that no worker has counted'] },
  },
  {
    name: 'doctor: a function may return no key for some jobs',
    file: 'src/cli/doctor/limited.ts',
    text: 'control.value === null ? keyless === all : keyless > 0',
    replacement: 'keyless > 0',
    tests: { 'test/cli/doctor-concurrency.test.ts': ['whose rows carry no key'] },
  },
  {
    name: 'doctor: an index that exists is not proposed',
    file: 'src/cli/doctor/limited.ts',
    text: 'if (!hasRuby || definitions.some(isRunningIndex)) return []',
    replacement: 'if (!hasRuby) return []',
    tests: { 'test/cli/doctor-concurrency.test.ts': ['prints the index that helps the count of Ruby workers'] },
  },
  {
    name: 'a full scope is reported once, not for each of its jobs',
    file: 'src/perform/limits/limit-events.ts',
    text: 'if (nowMs - lastMs > QUIET_MS && !(lastMs',
    replacement: 'if (true || !(lastMs',
    tests: { 'test/limits/limit-events.test.ts': ['is reported once, however many of its jobs wait and run'] },
  },
]
