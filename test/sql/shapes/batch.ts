import * as batches from '../../../src/sql/batch/batches.ts'
import { findBatchStates, findSuspectBatches } from '../../../src/sql/batch/check.ts'
import { findBatchHistory } from '../../../src/sql/batch/history.ts'
import { isDiscardedLate } from '../../../src/sql/batch/late-discard.ts'
import { BATCH_STATES, searchBatches, withMembers } from '../../../src/sql/batch/list.ts'
import { findBrokenAt, findOwedDiscards } from '../../../src/sql/batch/owed-discards.ts'
import { countMembers, findBreakingAttempts, findCallbackJobs } from '../../../src/sql/batch/status.ts'
import { findSweepHolder, lockSweep, tryLockSweep } from '../../../src/sql/batch/sweep-lock.ts'
import { AT, batch, discardedBatch, ID, KEY, listedBatch, times } from './samples.ts'
import type { Shape } from './shape.ts'
export const BATCH_SHAPES: readonly Shape[] = [
  { name: 'batch/insert', of: batches.insertBatches, send: (db, facts) => batches.insertBatches(db, facts, [batch]) },
  { name: 'batch/update', of: batches.updateBatches, send: (db, facts) => batches.updateBatches(db, facts, [batch]) },
  { name: 'batch/find', of: batches.findBatches, send: (db, facts) => batches.findBatches(db, facts, [ID]) },
  { name: 'batch/find ids', of: batches.findBatchIds, send: (db) => batches.findBatchIds(db, [ID]) },
  { name: 'batch/lock', of: batches.lockBatches, send: (db) => batches.lockBatches(db, [KEY]) },
  { name: 'batch/try to lock', of: batches.tryLockBatch, send: (db) => batches.tryLockBatch(db, KEY, 1_000) },
  {
    name: 'batch/write times',
    of: batches.writeBatchTimes,
    send: (db, facts) => batches.writeBatchTimes(db, facts, [times], AT),
  },
  {
    name: 'batch/join',
    of: batches.joinBatches,
    send: (db, facts) => batches.joinBatches(db, facts, [{ jobId: ID, batchId: ID }], AT),
  },
  { name: 'batch/states', of: findBatchStates, send: (db, facts) => findBatchStates(db, facts, [ID]) },
  {
    name: 'batch/sweep page',
    of: findSuspectBatches,
    send: (db, facts) =>
      findSuspectBatches(db, facts, {
        createdAfter: AT,
        before: { createdAt: AT, id: ID },
        quietSince: AT,
        endedSince: AT,
      }),
  },
  { name: 'batch/history', of: findBatchHistory, send: (db, facts) => findBatchHistory(db, facts, discardedBatch, AT) },
  { name: 'batch/late discard', of: isDiscardedLate, send: (db, facts) => isDiscardedLate(db, facts, discardedBatch) },
  {
    name: 'batch/owed discards',
    of: findOwedDiscards,
    send: (db, facts) => findOwedDiscards(db, facts, { createdAfter: AT, quietSince: AT }),
  },
  {
    name: 'batch/owed discard, member',
    of: findBrokenAt,
    send: (db, facts) => findBrokenAt(db, facts, { id: ID, description: null, memberId: ID }, AT),
  },
  ...[undefined, ...BATCH_STATES].map(
    (state): Shape => ({
      name: `batch/list${state === undefined ? '' : `, ${state}`}`,
      of: searchBatches,
      isSameIn40: state !== undefined && state !== 'recoverable',
      send: (db, facts) => searchBatches(db, facts, { state, limit: 25 }),
    }),
  ),
  {
    name: 'batch/list, next page',
    of: searchBatches,
    isSameIn40: true,
    send: (db, facts) => searchBatches(db, facts, { limit: 25, after: { created_at: AT, id: ID } }),
  },
  {
    name: 'batch/list, next step',
    of: searchBatches,
    isSameIn40: true,
    send: (db, facts) =>
      searchBatches(db, facts, { state: 'recoverable', limit: 25, after: { created_at: AT, id: ID } }),
  },
  { name: 'batch/list, members', of: withMembers, send: (db) => withMembers(db, [listedBatch], AT) },
  { name: 'batch/count members', of: countMembers, send: (db) => countMembers(db, ID, AT) },
  { name: 'batch/callback jobs', of: findCallbackJobs, send: (db) => findCallbackJobs(db, ID, AT) },
  { name: 'batch/breaking attempts', of: findBreakingAttempts, send: (db) => findBreakingAttempts(db, ID) },
  { name: 'batch/try to lock the sweep', of: tryLockSweep, send: (db) => tryLockSweep(db) },
  { name: 'batch/lock the sweep', of: lockSweep, send: (db) => lockSweep(db) },
  { name: 'batch/holder of the sweep', of: findSweepHolder, send: (db) => findSweepHolder(db) },
]
