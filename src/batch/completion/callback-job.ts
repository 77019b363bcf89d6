import { formatTimestamp, stringifyJobData } from '../../serialize/job-data.ts'
import type { RailsVersion } from '../../serialize/rails-version.ts'
import type { LockedBatch } from '../../sql/batch/check.ts'
import type { NewJobRow } from '../../sql/jobs/insert.ts'
import type { Clock } from '../../time.ts'
import { uuidV7 } from '../../uuid.ts'
import type { CallbackEvent } from './decision.ts'

/** Queue and priority for jobs of a class when the batch names no callback queue or priority. */
export type ClassDefaults = (jobClass: string) => { readonly queueName: string; readonly priority: number } | undefined

export interface CallbackRowOptions {
  readonly clock: Clock
  readonly railsVersion: RailsVersion
  readonly globalidApp: string
  readonly classDefaults: ClassDefaults
  readonly isNotified: boolean
}

/**
 * The row of a callback job, for a Node or a Ruby class, which is called with (batch, event:). GoodJob batch_record.rb: the batch is passed
 * as a GlobalID, the event as a symbol in a symbol-key hash, not as a keyword.
 */
export const callbackRow = (
  batch: LockedBatch,
  event: CallbackEvent,
  jobClass: string,
  options: CallbackRowOptions,
): NewJobRow => {
  const id = uuidV7()
  const defaults = options.classDefaults(jobClass)
  const queueName = batch.callback_queue_name || defaults?.queueName || 'default'
  const priority = batch.callback_priority ?? defaults?.priority ?? null
  const enqueuedAt = formatTimestamp(options.clock.now(), options.railsVersion)
  const createdAt = options.clock.timestamp()
  return {
    id,
    job_class: jobClass,
    queue_name: queueName,
    priority: priority ?? 0,
    serialized_params: stringifyJobData(
      {
        jobClass,
        jobId: id,
        providerJobId: null,
        queueName,
        priority,
        serializedArguments: [
          { _aj_globalid: `gid://${options.globalidApp}/GoodJob::Batch/${batch.id}` },
          {
            event: { _aj_serialized: 'ActiveJob::Serializers::SymbolSerializer', value: event },
            _aj_symbol_keys: ['event'],
          },
        ],
        executions: 0,
        exceptionExecutions: {},
        locale: 'en',
        timezone: 'UTC',
        enqueuedAt,
        scheduledAt: null,
        extra: {},
      },
      { railsVersion: options.railsVersion },
    ),
    scheduled_at: createdAt,
    created_at: createdAt,
    labels: null,
    batch_callback_id: batch.id,
    is_notified: options.isNotified,
  }
}
