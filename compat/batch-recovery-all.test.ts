import { BEYOND_CORE, CORE, testRecovery } from './batch-recovery-cases.ts'

testRecovery([
  ['4.23.1', BEYOND_CORE],
  ['4.19.2', CORE],
  ['4.9.3', CORE],
  ['4.0.3', BEYOND_CORE],
])
