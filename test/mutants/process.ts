import type { Mutant } from './mutant.ts'

/** Who is alive, and whose jobs may be freed. */
export const PROCESS_MUTANTS: readonly Mutant[] = [
  {
    name: 'a process is dead after five minutes, not before',
    file: 'src/sql/processes.ts',
    text: "interval '5 minutes'",
    replacement: "interval '5 seconds'",
    tests: { 'test/worker/process.test.ts': [] },
  },
  {
    name: 'a process with an advisory lock lives as long as that is held',
    file: 'src/sql/processes.ts',
    text: '(lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (',
    replacement: '(lock_type IS NOT DISTINCT FROM 0 AND EXISTS (SELECT 1) OR EXISTS (',
    tests: { 'test/worker/process.test.ts': [] },
  },
  {
    name: 'jobs of dead processes are freed',
    file: 'src/sql/processes.ts',
    text: 'UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM dead WHERE locked_by_id = dead.id RETURNING good_jobs.id',
    replacement:
      'UPDATE good_jobs SET locked_at = locked_at FROM dead WHERE locked_by_id = dead.id RETURNING good_jobs.id',
    tests: { 'test/worker/process.test.ts': [] },
  },
  {
    name: 'an orphan is freed only without its advisory lock',
    file: 'src/sql/processes.ts',
    text: "WHERE pg_try_advisory_xact_lock(${jobLockKeySql('id')})",
    replacement: '',
    tests: { 'test/worker/process.test.ts': [] },
  },
  {
    name: 'a heartbeat comes from a thread',
    file: 'src/worker/capsule-tracker.ts',
    text: 'this.#heartbeat?.start()',
    replacement: '',
    tests: { 'test/worker/process.test.ts': [] },
  },
  {
    name: 'a process that ends frees its jobs',
    file: 'src/sql/processes.ts',
    text: 'UPDATE good_jobs SET locked_by_id = NULL WHERE locked_by_id = $1::uuid',
    replacement: 'SELECT 1',
    tests: { 'test/worker/shutdown.test.ts': [] },
  },
]
