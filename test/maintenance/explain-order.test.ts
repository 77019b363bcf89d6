import { expect, test } from 'vitest'
import {
  ABANDONED,
  type Changes,
  CLASSLESS,
  DEAD_OWNER,
  explain,
  FINISHED,
  HELD,
  LIMITED,
  NO_WORKER,
  PAUSED,
  RETRIED,
  RUNNING,
  SCHEDULED,
  UNSERVED,
} from './job-facts.ts'

// Both parts of each pair can be true at once; the first is returned as the reason.
test.each<[string, string, readonly Changes[]]>([
  ['succeeded', 'running', [RUNNING, FINISHED]],
  ['succeeded', 'advisory_locked', [HELD, FINISHED]],
  ['running', 'advisory_locked', [HELD, RUNNING]],
  ['running', 'scheduled', [SCHEDULED, RUNNING]],
  ['running', 'paused', [PAUSED, RUNNING]],
  ['abandoned', 'claimed_by_dead_process', [DEAD_OWNER, ABANDONED]],
  ['abandoned', 'scheduled', [SCHEDULED, ABANDONED]],
  ['advisory_locked', 'claimed_by_dead_process', [DEAD_OWNER, HELD]],
  ['advisory_locked', 'scheduled', [SCHEDULED, HELD]],
  ['claimed_by_dead_process', 'scheduled', [SCHEDULED, DEAD_OWNER]],
  ['claimed_by_dead_process', 'no_worker', [NO_WORKER, DEAD_OWNER]],
  ['scheduled', 'paused', [PAUSED, SCHEDULED]],
  ['retried', 'paused', [PAUSED, RETRIED]],
  ['retried', 'concurrency_limited', [LIMITED, RETRIED]],
  ['paused', 'no_worker', [NO_WORKER, PAUSED]],
  ['paused', 'queue_unserved', [UNSERVED, PAUSED]],
  ['paused', 'class_unknown', [CLASSLESS, PAUSED]],
  ['no_worker', 'concurrency_limited', [LIMITED, NO_WORKER]],
  ['queue_unserved', 'class_unknown', [CLASSLESS, UNSERVED]],
  ['class_unknown', 'concurrency_limited', [LIMITED, CLASSLESS]],
  ['concurrency_limited', 'due', [LIMITED]],
])('%s comes before %s', (reason, _, changes) => {
  expect(explain(...changes).reason).toBe(reason)
})
