import * as abandoned from '../../../src/sql/jobs/abandoned.ts'
import * as actions from '../../../src/sql/jobs/actions.ts'
import { deleteFinishedBatches, deleteFinishedJobs, deleteStaleClaims } from '../../../src/sql/jobs/cleanup.ts'
import { countJobs } from '../../../src/sql/jobs/count.ts'
import { insertJob, insertJobs } from '../../../src/sql/jobs/insert.ts'
import { findLastBacktraces } from '../../../src/sql/jobs/last-backtraces.ts'
import { findExecutions, findJob, listJobs } from '../../../src/sql/jobs/list.ts'
import { findPassedJobs } from '../../../src/sql/jobs/passed.ts'
import { countJobsBefore, findJobSituation } from '../../../src/sql/jobs/situation.ts'
import { JOB_STATES } from '../../../src/sql/jobs/states.ts'
import { findWaitingJobs } from '../../../src/sql/jobs/waiting.ts'
import { announceJobs } from '../../../src/sql/notify.ts'
import { AT, ID, job, PROCESS_ID } from './samples.ts'
import type { Shape } from './shape.ts'

/** More jobs than are sorted for one page. */
const MANY_DISCARDED = `
INSERT INTO good_jobs (id, active_job_id, serialized_params, created_at, updated_at, finished_at, error)
SELECT id, id, '{}', now(), now(), now(), 'StandardError: no'
FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, 10001)) AS job`

export const JOB_SHAPES: readonly Shape[] = [
  {
    name: 'jobs/insert one',
    of: insertJob,
    send: (db, facts) => insertJob(db, facts, job),
  },
  {
    name: 'jobs/insert one, without a message',
    of: insertJob,
    send: (db, facts) => insertJob(db, facts, { ...job, is_notified: false }),
  },
  { name: 'jobs/insert many', of: insertJobs, send: (db, facts) => insertJobs(db, facts, [job], { isBulk: true }) },
  { name: 'jobs/announce', of: announceJobs, send: (db) => announceJobs(db, [job]) },

  ...[undefined, ...JOB_STATES].map(
    (state): Shape => ({
      name: `jobs/list${state === undefined ? '' : `, ${state}`}`,
      of: listJobs,
      send: (db) => listJobs(db, { filter: state === undefined ? {} : { states: [state] }, now: AT, limit: 25 }),
    }),
  ),
  {
    name: 'jobs/list, every filter, next page',
    of: listJobs,
    send: (db) =>
      listJobs(db, {
        filter: { states: [...JOB_STATES], queueName: 'q', jobClass: 'EchoJob', label: 'l', batchId: ID },
        now: AT,
        limit: 25,
        after: { at: AT, id: ID },
      }),
  },
  {
    name: 'jobs/count',
    of: countJobs,
    send: (db) =>
      countJobs(db, { filter: { states: ['queued'], jobClass: 'EchoJob' }, now: AT, limit: 10, budgetMs: 0 }),
  },
  {
    name: 'jobs/count, step',
    of: countJobs,
    send: (db) => countJobs(db, { filter: { states: [...JOB_STATES] }, now: AT, limit: 10, budgetMs: 0 }),
  },
  {
    name: 'jobs/count, many discarded',
    of: countJobs,
    rows: [MANY_DISCARDED],
    isSameIn40: true,
    send: (db) => countJobs(db, { filter: { states: ['discarded'] }, now: AT, limit: 10, budgetMs: 0 }),
  },
  {
    name: 'jobs/list, many discarded',
    of: listJobs,
    rows: [MANY_DISCARDED],
    isSameIn40: true,
    send: (db) => listJobs(db, { filter: { states: ['discarded'] }, now: AT, limit: 25 }),
  },
  { name: 'jobs/show', of: findJob, send: (db) => findJob(db, ID, AT) },
  { name: 'jobs/executions', of: findExecutions, send: (db) => findExecutions(db, ID) },
  { name: 'jobs/last backtraces', of: findLastBacktraces, send: (db) => findLastBacktraces(db, [ID]) },
  { name: 'jobs/situation', of: findJobSituation, send: (db, facts) => findJobSituation(db, facts, ID) },
  {
    name: 'jobs/before',
    of: countJobsBefore,
    send: (db) => countJobsBefore(db, { queue_name: 'q', priority: 0, created_at: AT }, { now: AT, limit: 10 }),
  },
  {
    name: 'jobs/before, without a queue and a priority',
    of: countJobsBefore,
    send: (db) => countJobsBefore(db, { queue_name: null, priority: null, created_at: AT }, { now: AT, limit: 10 }),
  },
  { name: 'jobs/passed', of: findPassedJobs, send: (db, facts) => findPassedJobs(db, facts, AT, 10) },
  { name: 'jobs/waiting', of: findWaitingJobs, send: (db) => findWaitingJobs(db, AT, 10) },
  { name: 'jobs/lock', of: actions.lockJobsForAction, send: (db) => actions.lockJobsForAction(db, [ID]) },
  { name: 'jobs/batches of jobs', of: actions.findBatchIdsOfJobs, send: (db) => actions.findBatchIdsOfJobs(db, [ID]) },
  {
    name: 'jobs/retry',
    of: actions.retryJobs,
    send: (db, facts) =>
      actions.retryJobs(db, facts, [ID], {
        now: AT,
        scheduledAt: AT,
        keys: '{}',
        keepsCreatedAt: false,
        isNotified: true,
      }),
  },
  {
    name: 'jobs/discard',
    of: actions.discardJobs,
    send: (db, facts) => actions.discardJobs(db, facts, [ID], { now: AT, error: 'e' }),
  },
  { name: 'jobs/reschedule', of: actions.rescheduleJobs, send: (db) => actions.rescheduleJobs(db, [ID], AT, AT) },
  { name: 'jobs/destroy', of: actions.destroyJobs, send: (db) => actions.destroyJobs(db, [ID]) },
  { name: 'jobs/broken members', of: actions.findBrokenMembers, send: (db) => actions.findBrokenMembers(db, ID) },
  { name: 'jobs/open members', of: actions.findOpenMembers, send: (db) => actions.findOpenMembers(db, ID) },
  {
    name: 'jobs/reopen batches',
    of: actions.reopenBatches,
    send: (db, facts) => actions.reopenBatches(db, facts, [ID], AT),
  },
  { name: 'jobs/abandoned', of: abandoned.findAbandonedJobs, send: (db) => abandoned.findAbandonedJobs(db, 10) },
  { name: 'jobs/silent', of: abandoned.findSilentJobs, send: (db, facts) => abandoned.findSilentJobs(db, facts) },
  {
    name: 'jobs/release silent',
    of: abandoned.releaseSilentJobs,
    send: (db, facts) =>
      abandoned.releaseSilentJobs(db, facts, [{ id: ID, job_class: null, locked_by_id: PROCESS_ID, locked_at: AT }]),
  },
  { name: 'jobs/lock one to release', of: abandoned.lockOwnedJob, send: (db) => abandoned.lockOwnedJob(db, ID) },
  { name: 'jobs/release one', of: abandoned.releaseOwnedJob, send: (db) => abandoned.releaseOwnedJob(db, ID) },
  {
    name: 'jobs/delete finished',
    of: deleteFinishedJobs,
    send: (db) => deleteFinishedJobs(db, { finishedBefore: AT, includesDiscarded: true }),
  },
  { name: 'jobs/delete stale claims', of: deleteStaleClaims, send: (db, facts) => deleteStaleClaims(db, facts) },
  {
    name: 'jobs/delete finished batches',
    of: deleteFinishedBatches,
    send: (db) => deleteFinishedBatches(db, { finishedBefore: AT, includesDiscarded: true }),
  },
]
