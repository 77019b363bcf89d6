import type { LockedBatch } from '../../src/sql/batch/check.ts'

export const E = '2026-01-01T00:00:00.000000Z'
export const D = '2026-01-01T00:00:01.000000Z'
export const BROKEN = '2026-01-01T00:00:02.000000Z'
export const J = '2026-01-01T00:00:03.000000Z'
export const F = '2026-01-01T00:00:04.000000Z'
export const NOW = '2026-01-01T00:00:05.000000Z'

export const state = (changes: Partial<LockedBatch> = {}): LockedBatch => ({
  id: '00000000-0000-0000-0000-000000000001',
  created_at: E,
  description: null,
  enqueued_at: E,
  discarded_at: null,
  jobs_finished_at: null,
  finished_at: null,
  on_discard: 'OnDiscard',
  on_success: 'OnSuccess',
  on_finish: 'OnFinish',
  callback_queue_name: null,
  callback_priority: null,
  has_open_member: false,
  broken_at: null,
  has_open_callback: false,
  ...changes,
})
