import type { Command } from 'commander'
import { addBatchesCommands } from './batches/batches.ts'
import { addCleanupCommand } from './cleanup.ts'
import { addConcurrencyCommands } from './concurrency/concurrency.ts'
import { addCronCommands } from './cron/cron.ts'
import { addDemoCommand } from './demo.ts'
import { addDoctorCommand } from './doctor/doctor.ts'
import { addJobsCommands } from './jobs/jobs.ts'
import { addPausesCommands } from './pauses.ts'
import { addSchemaCommands } from './schema.ts'
import { addStartCommand } from './start/start.ts'

/** Adds every command, in the order of the help. */
export const addCommands = (program: Command): void => {
  addDemoCommand(program)
  addStartCommand(program)
  addJobsCommands(program)
  addBatchesCommands(program)
  addConcurrencyCommands(program)
  addCronCommands(program)
  addPausesCommands(program)
  addDoctorCommand(program)
  addSchemaCommands(program)
  addCleanupCommand(program)
}
