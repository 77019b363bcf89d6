import { advisoryKey } from '../../../src/sql/advisory-lock.ts'
import type * as batches from '../../../src/sql/batch/batches.ts'
import type { ClaimOptions } from '../../../src/sql/claim/claim.ts'
import type { NewJobRow } from '../../../src/sql/jobs/insert.ts'
import type * as outcomes from '../../../src/sql/outcome/outcomes.ts'
export const AT = '2026-01-31T12:00:00.000000Z'
export const ID = '00000000-0000-4000-8000-0000000000d1'
export const PROCESS_ID = '00000000-0000-4000-8000-00000000c1a2'
export const KEY = advisoryKey('statements')

export const job: NewJobRow = {
  id: ID,
  job_class: 'EchoJob',
  queue_name: 'default',
  priority: 0,
  serialized_params: '{}',
  scheduled_at: AT,
  created_at: AT,
  labels: null,
  is_notified: true,
}
export const outcome: outcomes.OutcomeRow = {
  id: ID,
  lockedAt: AT,
  executionId: ID,
  finishedAt: AT,
  durationSeconds: 1,
  error: null,
  errorEvent: null,
  backtrace: null,
}
export const reenqueued: outcomes.ReenqueueRow = {
  ...outcome,
  serializedParams: '{}',
  jobClass: 'EchoJob',
  queueName: 'default',
  priority: 0,
  scheduledAt: AT,
  createdAt: AT,
  labels: null,
  isNotified: true,
}
export const batch: batches.BatchToSave = {
  id: ID,
  description: null,
  serialized_properties: null,
  on_finish: null,
  on_success: null,
  on_discard: null,
  callback_queue_name: null,
  callback_priority: null,
  now: AT,
  enqueued_at: AT,
}
export const times: batches.BatchTimes = {
  id: ID,
  enqueued_at: AT,
  discarded_at: AT,
  jobs_finished_at: null,
  finished_at: null,
}
export const discardedBatch = {
  ...times,
  created_at: AT,
  description: null,
  on_discard: null,
  on_success: 'EchoJob',
  on_finish: null,
  callback_queue_name: null,
  callback_priority: null,
  jobs_finished_at: AT,
  has_open_member: false,
  broken_at: null,
  has_open_callback: false,
}
export const listedBatch = { ...discardedBatch, state: 'discarded' as const, enqueued_at: AT }
export const writer = { processId: PROCESS_ID, now: AT, notifies: true }
export const position = { queueName: 'default', priority: 0, at: AT }

export const request: ClaimOptions = {
  selector: { kind: 'all' },
  jobClasses: ['EchoJob'],
  sort: 'created_at',
  selectLimit: 1000,
  limit: 10,
  now: AT,
  dueUntil: AT,
  processId: PROCESS_ID,
  runningIds: [],
  releaseKeys: [],
}
