import { ALL_JOBS, keyScope, labelScope } from '../../../src/job/concurrency/scopes.ts'
import { claim } from '../../../src/sql/claim/claim.ts'
import {
  abandonAdmission,
  beginAdmission,
  countRunning,
  startAdmitted,
} from '../../../src/sql/concurrency/admission.ts'
import {
  findWaitingClaims,
  freePlaces,
  freePlacesOfProcesses,
  promoteWaiting,
} from '../../../src/sql/concurrency/claims.ts'
import { countScopes } from '../../../src/sql/concurrency/enqueue.ts'
import type { LimitedJobs } from '../../../src/sql/concurrency/limited.ts'
import { findHolders, findUngrantedClaims, findWaitingInScope } from '../../../src/sql/concurrency/scope-jobs.ts'
import { lockScopes } from '../../../src/sql/concurrency/scope-locks.ts'
import { findStarts } from '../../../src/sql/concurrency/starts.ts'
import { countUncounted, findCrowdedKeys } from '../../../src/sql/concurrency/uncounted.ts'
import { countClaims, findUsedScopes } from '../../../src/sql/concurrency/usage.ts'
import { findWaitingInScopes } from '../../../src/sql/concurrency/waiting.ts'
import type { Queryable } from '../../../src/sql/connection/queryable.ts'
import { AT, ID, KEY, PROCESS_ID, request, writer } from './samples.ts'
import type { Shape } from './shape.ts'

const waitingClaim = `INSERT INTO good_job_concurrency_claims (id, job_id, key, state, created_at, updated_at)
  SELECT '${ID}', '${ID}', 'all', 0, now(), now()`
const waitingJob = `INSERT INTO good_jobs (id, active_job_id, job_class, queue_name, created_at, updated_at)
  VALUES ('${ID}', '${ID}', 'EchoJob', 'default', now(), now())`

/** Statements stay prepared on a session. */
const onSession = (db: Queryable) => ({ query: db.query, end: new AbortController().signal })
const admitted = { row: { id: ID, queue_name: 'default', labels: ['a'], concurrency_key: 'k' }, claimKeys: ['label:a'] }

const limits: LimitedJobs = {
  claim: 'read',
  jobClasses: ['LimitedJob'],
  labels: ['api'],
  keys: ['tenant'],
  readsArguments: [],
  full: { jobClasses: [], labels: [['LimitedJob', 'api']], keys: [['LimitedJob', 'tenant']], jobIds: [ID] },
}

const LIMITED_CLAIMS: Readonly<Record<string, LimitedJobs>> = {
  'beside limited jobs': limits,
  'beside limited classes': { ...limits, labels: [], keys: [] },
  'limited jobs only': { ...limits, claim: 'only' },
  'no limited jobs': { ...limits, claim: 'skip' },
}

const claimShapes = Object.entries(LIMITED_CLAIMS).map(
  ([name, limited]): Shape => ({
    name: `concurrency/claim, ${name}`,
    of: claim,
    isSameIn40: true,
    send: (db, facts) => claim(db, facts, { ...request, limits: limited }),
  }),
)

const waitingShapes = [true, false].map(
  (isDense): Shape => ({
    name: `concurrency/waiting jobs, ${isDense ? 'dense' : 'sparse'} scopes`,
    of: findWaitingInScopes,
    isSameIn40: true,
    send: (db, facts) =>
      findWaitingInScopes(
        db,
        facts,
        ['label:api', 'key:tenant', 'all'].map((claimKey) => ({ claimKey, isDense, jobClasses: ['LimitedJob'] })),
        { ...request, limits, perScope: 16 },
      ),
  }),
)

const [label, key] = [labelScope('mail'), keyScope('user-7')]

/** What is counted at an enqueue: one scope, as for one job, and each kind. */
const COUNTS: Readonly<Record<string, Parameters<typeof countScopes>[2]>> = {
  'count scope': [{ scope: label, kind: 'unfinished' }],
  'count scopes': [
    { scope: label, kind: 'waiting' },
    { scope: key, kind: 'unfinished' },
    { scope: key, kind: 'created', seconds: 60 },
    { scope: ALL_JOBS, kind: 'created', seconds: 60 },
  ],
}

const countShapes = Object.entries(COUNTS).map(
  ([name, counts]): Shape => ({
    name: `concurrency/${name}`,
    of: countScopes,
    send: (db, facts) => countScopes(db, facts, counts, AT),
  }),
)

export const CONCURRENCY_SHAPES: readonly Shape[] = [
  { name: 'concurrency/lock scopes', of: lockScopes, send: (db) => lockScopes(db, [label, key]) },
  ...countShapes,
  ...claimShapes,
  ...waitingShapes,
  {
    name: 'concurrency/waiting claims',
    of: findWaitingClaims,
    send: (db, facts) => findWaitingClaims(db, facts, ID),
  },
  {
    name: 'concurrency/free places',
    of: freePlaces,
    send: (db, facts) =>
      freePlaces(db, facts, [{ id: ID, labels: ['a'], concurrency_key: 'key', claimKeys: ['label:a'] }], writer),
  },
  {
    name: 'concurrency/promote waiting jobs',
    of: promoteWaiting,
    rows: [waitingJob, waitingClaim],
    send: (db, facts) => promoteWaiting(db, facts, ['label:a'], writer),
  },
  {
    name: 'concurrency/free places of processes',
    of: freePlacesOfProcesses,
    send: (db, facts) => freePlacesOfProcesses(db, facts, [PROCESS_ID], writer),
  },
  {
    name: 'concurrency/begin admission',
    of: beginAdmission,
    send: (db, facts) =>
      beginAdmission(
        onSession(db),
        facts,
        [
          { claimKey: 'label:a', lockName: 'label:a', wasBusy: false },
          { claimKey: 'key:k', lockName: 'k', wasBusy: true },
        ],
        [KEY],
      ),
  },
  { name: 'concurrency/abandon admission', of: abandonAdmission, send: (db) => abandonAdmission(db) },
  {
    name: 'concurrency/running jobs',
    of: countRunning,
    send: (db, facts) => countRunning(db, facts, ['label:a', 'key:k', 'all']),
  },
  ...[1, 3, 9].map(
    (count): Shape => ({
      name: `concurrency/starts of ${count === 1 ? '1 throttle' : `${count} throttles`}`,
      of: findStarts,
      isSameIn40: true,
      send: (db, facts) =>
        findStarts(
          db,
          facts,
          Array.from({ length: count }, (_, index) => ({
            claimKey: ['label:a', 'key:k', 'all'][index % 3] ?? '',
            count: index + 1,
            since: AT,
          })),
        ),
    }),
  ),
  {
    name: 'concurrency/start admitted jobs',
    of: startAdmitted,
    send: (db, facts) => startAdmitted(onSession(db), facts, [admitted], request),
  },
  {
    name: 'concurrency/start admitted jobs, honouring pauses',
    of: startAdmitted,
    send: (db, facts) => startAdmitted(onSession(db), facts, [admitted], { ...request, honoursPauses: true }),
  },
  {
    name: 'concurrency/scopes in use',
    of: findUsedScopes,
    send: (db, facts) => findUsedScopes(db, facts, { now: AT, maxWaiting: 100, limit: 10, labels: ['a'] }),
  },
  {
    name: 'concurrency/claims in use',
    of: countClaims,
    send: (db, facts) => countClaims(db, facts, { maxClaims: 100, limit: 10 }),
  },
  {
    name: 'concurrency/claims of a scope',
    of: countClaims,
    send: (db, facts) => countClaims(db, facts, { maxClaims: 100, limit: 1, key: 'label:a' }),
  },
  { name: 'concurrency/holders', of: findHolders, send: (db, facts) => findHolders(db, facts, ['label:a'], 10) },
  ...['label:a', 'key:k', 'all'].map(
    (claimKey): Shape => ({
      name: `concurrency/next jobs, ${claimKey.split(':')[0]}`,
      of: findWaitingInScope,
      isSameIn40: true,
      send: (db, facts) => findWaitingInScope(db, facts, claimKey, { now: AT, limit: 10, maxWaiting: 100 }),
    }),
  ),
  {
    name: 'concurrency/refused jobs',
    of: findUngrantedClaims,
    send: (db, facts) => findUngrantedClaims(db, facts, 'label:a', 10),
  },
  {
    name: 'concurrency/uncounted jobs',
    of: countUncounted,
    isSameIn40: true,
    send: (db) =>
      countUncounted(db, { jobClasses: ['LimitedJob'], labels: [{ jobClass: 'LimitedJob', label: 'a' }], maxJobs: 10 }),
  },
  { name: 'concurrency/crowded keys', of: findCrowdedKeys, send: (db, facts) => findCrowdedKeys(db, facts, 10) },
]
