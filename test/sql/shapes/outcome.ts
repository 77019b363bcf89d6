import { findLockedBatches, findLockedJobs } from '../../../src/sql/outcome/locks.ts'
import * as outcomes from '../../../src/sql/outcome/outcomes.ts'
import { findWithdrawnClaims } from '../../../src/sql/outcome/withdrawn.ts'
import { ID, outcome, PROCESS_ID, reenqueued, writer } from './samples.ts'
import type { Shape } from './shape.ts'

export const OUTCOME_SHAPES: readonly Shape[] = [
  {
    name: 'outcome/finish',
    of: outcomes.finishJobs,
    send: (db, facts) => outcomes.finishJobs(db, facts, writer, [outcome]),
  },
  {
    name: 'outcome/rerun',
    of: outcomes.rerunJobs,
    send: (db, facts) => outcomes.rerunJobs(db, facts, writer, [outcome]),
  },
  {
    name: 'outcome/delete',
    of: outcomes.deleteJobs,
    send: (db, facts) => outcomes.deleteJobs(db, facts, writer, [outcome]),
  },
  {
    name: 'outcome/reenqueue',
    of: outcomes.reenqueueJobs,
    send: (db, facts) => outcomes.reenqueueJobs(db, facts, writer, [reenqueued], { keepsCreatedAt: false }),
  },
  {
    name: 'outcome/reenqueue, created_at kept',
    of: outcomes.reenqueueJobs,
    isSameIn40: true,
    send: (db, facts) => outcomes.reenqueueJobs(db, facts, writer, [reenqueued], { keepsCreatedAt: true }),
  },
  {
    name: 'outcome/release claims',
    of: outcomes.releaseClaims,
    send: (db, facts) => outcomes.releaseClaims(db, facts, PROCESS_ID, [outcome]),
  },
  {
    name: 'outcome/locked jobs',
    of: findLockedJobs,
    send: (db) => findLockedJobs(db, [{ id: ID, executionId: ID, isDeleted: false }]),
  },
  { name: 'outcome/locked batches', of: findLockedBatches, send: (db) => findLockedBatches(db, [ID]) },
  {
    name: 'outcome/withdrawn claims',
    of: findWithdrawnClaims,
    send: (db, facts) => findWithdrawnClaims(db, facts, PROCESS_ID, [outcome]),
  },
]
