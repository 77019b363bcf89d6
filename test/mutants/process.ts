import type { Mutant } from './mutant.ts'

/** Which processes are alive, and whose jobs may be released. */
export const PROCESS_MUTANTS: readonly Mutant[] = [
  {
    name: 'a process is dead after five minutes, not before',
    file: 'src/sql/process/dead.ts',
    text: "interval '5 minutes'",
    replacement: "interval '5 seconds'",
    tests: { 'test/worker/process.test.ts': ['dead processes are deleted and their jobs released; live processes'] },
  },
  {
    name: 'a process with an advisory lock lives as long as the lock is held',
    file: 'src/sql/process/dead.ts',
    text: '(lock_type IS NOT DISTINCT FROM 0 AND NOT EXISTS (',
    replacement: '(lock_type IS NOT DISTINCT FROM 0 AND EXISTS (SELECT 1) OR EXISTS (',
    tests: { 'test/worker/process.test.ts': ['dead processes are deleted and their jobs released; live processes'] },
  },
  {
    name: 'jobs of dead processes are released',
    file: 'src/sql/process/dead.ts',
    text: 'UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL FROM free WHERE good_jobs.id = free.id RETURNING good_jobs.id',
    replacement:
      'UPDATE good_jobs SET locked_at = locked_at FROM free WHERE good_jobs.id = free.id RETURNING good_jobs.id',
    tests: { 'test/worker/process.test.ts': ['dead processes are deleted and their jobs released; live processes'] },
  },
  {
    name: 'an orphaned job is released only without its advisory lock',
    file: 'src/sql/process/dead.ts',
    text: "WHERE pg_try_advisory_xact_lock(${jobLockKeySql('id')})",
    replacement: '',
    tests: { 'test/worker/process.test.ts': ['jobs of an owner without a process row are released, unless their'] },
  },
  {
    name: 'a class that no worker of its queue has is a problem',
    file: 'src/maintenance/worker-processes.ts',
    text: "return isKnown ? [] : [{ ...jobs, lacks: 'class' }]",
    replacement: 'return []',
    tests: {
      'test/cli/operations.test.ts': ['doctor names a class that no worker has'],
      'test/worker/process.test.ts': ['due jobs that no live worker runs are reported once'],
    },
  },
  {
    name: 'a worker of Ruby may have any class',
    file: 'src/maintenance/worker-processes.ts',
    text: "job_classes?.includes(jobClass ?? '') ?? true",
    replacement: "job_classes?.includes(jobClass ?? '') ?? false",
    tests: { 'test/cli/operations.test.ts': ['doctor names a class that no worker has'] },
  },
  {
    name: 'a silent process serves no queue',
    file: 'src/maintenance/worker-processes.ts',
    text: 'is_alive: row.is_alive && !row.is_silent',
    replacement: 'is_alive: row.is_alive',
    tests: { 'test/cli/operations.test.ts': ['a process that has been silent for two minutes'] },
  },
  {
    name: 'a process that ends releases its jobs',
    file: 'src/sql/process/processes.ts',
    text: 'UPDATE good_jobs SET locked_by_id = NULL WHERE locked_by_id = $1::uuid',
    replacement: 'SELECT 1',
    tests: { 'test/worker/shutdown.test.ts': ['a process that ends while a job ignores its signal releases its rows'] },
  },
]
