import { CORE, testRecovery } from './batch-recovery-cases.ts'

testRecovery([
  ['4.23.1', CORE],
  // Before the migration that adds jobs_finished_at.
  ['4.0.3', CORE],
])
