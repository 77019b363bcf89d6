import { ACTION_MUTANTS } from './action.ts'
import { ADMISSION_MUTANTS } from './admission.ts'
import { AROUND_PERFORM_MUTANTS } from './around-perform.ts'
import { BATCH_MUTANTS } from './batch.ts'
import { CLAIM_MUTANTS } from './claim.ts'
import { CLUSTER_MUTANTS } from './cluster.ts'
import { COMMAND_LINE_MUTANTS } from './command-line.ts'
import { CONCURRENCY_MUTANTS } from './concurrency.ts'
import { CRON_MUTANTS } from './cron.ts'
import { CRON_EXPRESSION_MUTANTS } from './cron-expression.ts'
import { ENQUEUE_MUTANTS } from './enqueue.ts'
import { FLEET_MUTANTS } from './fleet.ts'
import { ISOLATION_MUTANTS } from './isolation.ts'
import { LAUNCHER_MUTANTS } from './launcher.ts'
import { LIMITED_MUTANTS } from './limited.ts'
import type { Mutant } from './mutant.ts'
import { NAMES_MUTANTS } from './names.ts'
import { OUTCOME_MUTANTS } from './outcome.ts'
import { PLACES_MUTANTS } from './places.ts'
import { PROBE_MUTANTS } from './probe.ts'
import { PROCESS_MUTANTS } from './process.ts'
import { SESSION_MUTANTS } from './session.ts'
import { WORKER_MUTANTS } from './worker.ts'

/** Every guard that a promise rests on. Add the guard of each fix here. */
export const MUTANTS: readonly Mutant[] = [
  ...CLAIM_MUTANTS,
  ...PROCESS_MUTANTS,
  ...PROBE_MUTANTS,
  ...CLUSTER_MUTANTS,
  ...OUTCOME_MUTANTS,
  ...BATCH_MUTANTS,
  ...ACTION_MUTANTS,
  ...WORKER_MUTANTS,
  ...SESSION_MUTANTS,
  ...ISOLATION_MUTANTS,
  ...ENQUEUE_MUTANTS,
  ...CRON_EXPRESSION_MUTANTS,
  ...CONCURRENCY_MUTANTS,
  ...ADMISSION_MUTANTS,
  ...PLACES_MUTANTS,
  ...LAUNCHER_MUTANTS,
  ...NAMES_MUTANTS,
  ...COMMAND_LINE_MUTANTS,
  ...LIMITED_MUTANTS,
  ...AROUND_PERFORM_MUTANTS,
  ...FLEET_MUTANTS,
  ...CRON_MUTANTS,
]
