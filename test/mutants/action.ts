import type { Mutant } from './mutant.ts'

/** What an operator may do to which job. */
export const ACTION_MUTANTS: readonly Mutant[] = [
  {
    name: 'an action on a running job is refused',
    file: 'src/maintenance/job-actions.ts',
    text: 'if (needsLock && !job.is_lock_free) {',
    replacement: 'if (false as boolean) {',
    tests: { 'test/maintenance/job-actions.test.ts': ['while a job runs only a force-discard is allowed, and the'] },
  },
  {
    name: 'only discarded jobs are retried',
    file: 'src/maintenance/job-actions.ts',
    text: "if (job.finished_at === null || job.error === null) refuse(job, 'retry', 'discarded')",
    replacement: '',
    tests: { 'test/maintenance/job-actions.test.ts': ['a waiting job and'] },
  },
  {
    name: 'only unfinished jobs are discarded',
    file: 'src/maintenance/job-actions.ts',
    text: "if (job.finished_at !== null) refuse(job, 'discard', 'unfinished')",
    replacement: '',
    tests: { 'test/maintenance/job-actions.test.ts': [] },
  },
  {
    name: 'a discard reports its member to the batch',
    file: 'src/maintenance/job-actions.ts',
    text: 'return { brokenAt: now }',
    replacement: 'return {}',
    tests: { 'test/batch/recovery.test.ts': ['row g: one of several is discarded manually and the others succeed'] },
  },
  {
    name: 'only finished jobs are deleted',
    file: 'src/maintenance/job-actions.ts',
    text: "if (job.finished_at === null) refuse(job, 'destroy', 'finished')",
    replacement: '',
    tests: { 'test/maintenance/job-actions.test.ts': [] },
  },
]
