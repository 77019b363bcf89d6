// Imported first: otherwise an older Node fails at an export that it does not know, before this check.
import './assert-node.ts'

export { Batch, type BatchJobs, type BatchOptions, type Callback, type EnqueueBatchOptions } from './batch/batch.ts'
export type { CallbackEvent } from './batch/completion/decision.ts'
export type { BatchStatus, RecoveryState, TimelineEntry } from './batch/status.ts'
export type { WorkerConcurrencyRule } from './concurrency-option.ts'
export type { Configuration, Options, PreserveJobRecords } from './configuration.ts'
export type { CronEntryStatus, CronRun } from './cron/status.ts'
export type { RunCronOptions } from './cron/steering.ts'
export type { AdapterConfig } from './enqueue/adapter.ts'
export {
  ActionForStateMismatchError,
  BatchUnprovenError,
  ConcurrencyExceededError,
  ConfigurationError,
  ConnectionTimeoutError,
  CronConflictError,
  CronEntryNotFoundError,
  DeserializationError,
  DiscardJobError,
  EnqueueError,
  GoodJobError,
  InterruptError,
  InvalidJobDataError,
  QueueStringError,
  RecordAlreadyAdvisoryLockedError,
  RecordMissingError,
  RecordNotFoundError,
  SchemaError,
  SerializationError,
  SessionRequiredError,
  ThrottleExceededError,
  UnknownJobClassError,
} from './errors.ts'
export { type EventMap, type EventName, Events, events } from './events.ts'
export { InlineAdapter } from './job/adapters/inline-adapter.ts'
export type { QueueAdapter } from './job/adapters/queue-adapter.ts'
export { TestAdapter } from './job/adapters/test-adapter.ts'
export { Job, type JobConstructor } from './job/base.ts'
export { Bulk } from './job/bulk.ts'
export { throwAbort } from './job/callbacks.ts'
export type { ConcurrencyKey, ConcurrencyOptions, ConcurrencyRuleOptions } from './job/concurrency/rules.ts'
export { currentJob } from './job/context.ts'
export { performAllLater } from './job/enqueuing.ts'
export type { Logger } from './job/logger.ts'
export type { EnqueueOptions, RetryOptions } from './job/options.ts'
export type { Pauses, StoppingReason } from './job/pauses.ts'
export { Adapter } from './maintenance/adapter.ts'
export { cleanupPreservedJobs } from './maintenance/cleanup.ts'
export type { JobExplanation, JobReason } from './maintenance/why/reasons.ts'
export { attachLogSubscriber, type LogSubscriberOptions } from './observe/log-subscriber.ts'
export { probeHandler } from './probe/handler.ts'
export type { Health } from './probe/health.ts'
export type { CronClass, CronEntries, CronEntryOptions, CronInstant, CronSet } from './schedule/options.ts'
export {
  indifferentAccess,
  isKeywords,
  kwargs,
  registerSerializer,
  type Serializer,
  symbolKeys,
} from './serialize/arguments/arguments.ts'
export { type Locator, registerLocator } from './serialize/values/locators.ts'
export {
  GlobalID,
  RubyBigDecimal,
  RubyConstant,
  RubyDate,
  RubyDateTime,
  RubyDuration,
  RubyFloat,
  RubyRange,
  RubySerialized,
  RubySymbol,
  RubyTime,
  RubyTimeWithZone,
  sym,
} from './serialize/values/ruby-values.ts'
export { Capsule, type CapsuleOptions, type CapsuleState } from './worker/capsule.ts'
