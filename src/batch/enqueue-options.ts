import { ConfigurationError } from '../errors.ts'
import { assertTransaction } from '../job/adapters/transaction.ts'
import { isJob, kindOf } from '../job/enqueueable.ts'
import { assertKnownOptions } from '../job/options.ts'
import type { BatchOptions, EnqueueBatchOptions } from './batch.ts'

const BATCH_OPTIONS: readonly (keyof BatchOptions)[] = [
  'onFinish',
  'onSuccess',
  'onDiscard',
  'callbackQueueName',
  'callbackPriority',
  'description',
  'properties',
]

/** Throws ConfigurationError for an option that a batch does not have. */
export const assertBatchOptions = (options: BatchOptions): void => assertKnownOptions('Batch', options, BATCH_OPTIONS)

/** Throws ConfigurationError for an unknown option, or for a `transaction` that is not one. */
export const assertEnqueueOptions = (where: string, options: EnqueueBatchOptions): void => {
  assertKnownOptions(where, options, ['transaction'])
  if (options.transaction != null) assertTransaction(where, options.transaction)
}

/** Throws ConfigurationError when options were passed in the place of the jobs. */
export const assertJobsFirst = (where: string, jobs: unknown): void => {
  if (jobs === undefined || typeof jobs === 'function' || Array.isArray(jobs) || isJob(jobs)) return
  throw new ConfigurationError(
    `${where} takes jobs first, then options: ${where}(jobs, { transaction }); the first argument is ${kindOf(jobs)}`,
  )
}
