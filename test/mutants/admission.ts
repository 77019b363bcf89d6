import type { Mutant } from './mutant.ts'

const VECTORS = 'test/claim/concurrency-vectors.test.ts'

/** An admission counts as GoodJob does, so that a limit holds over both languages. */
export const ADMISSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'a started job that waits with a claim has no place',
    file: 'src/sql/concurrency/admission.ts',
    text: `\${hasUngrantedClaim(facts, 'running.id', 'scope.claim_key', 'AND NOT')}`,
    replacement: '',
    tests: { [VECTORS]: ['a running row with a WAITING claim', 'a running row with a PROMOTED claim'] },
  },
  {
    name: 'an admitted job has a claim for each of its scopes',
    file: 'src/sql/concurrency/admission.ts',
    text: '${insertClaims(facts, jobs, { now, processId }, parameters)}',
    replacement: '',
    tests: { [VECTORS]: ['perform_limit 1, free: runs'] },
  },
  {
    name: 'an attempt that a throttle refused does not count for the throttle',
    file: 'src/sql/concurrency/starts.ts',
    text: `\n      AND good_job_executions.error IS DISTINCT FROM '\${THROTTLED}: \${THROTTLED}'`,
    replacement: '',
    tests: { [VECTORS]: ['an execution that was itself throttled'] },
  },
  {
    name: 'an attempt from before the window does not count for a throttle',
    file: 'src/sql/concurrency/starts.ts',
    text: '\n      AND good_job_executions.created_at > ${since}',
    replacement: '',
    tests: { [VECTORS]: ['an execution of 61 s ago'] },
  },
]
