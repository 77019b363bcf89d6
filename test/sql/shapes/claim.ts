import { releaseAdvisoryLocks, releaseOtherAdvisoryLocks } from '../../../src/sql/advisory-lock.ts'
import {
  type ClaimOptions,
  claim,
  findNextScheduledAt,
  reacquire,
  releaseUnknownClaims,
} from '../../../src/sql/claim/claim.ts'
import { findWaitingQueues } from '../../../src/sql/claim/waiting-queues.ts'
import { AT, KEY, outcome, PROCESS_ID, position, request } from './samples.ts'
import type { Shape } from './shape.ts'

const EVERY_QUEUE = 'every queue'

/** Requests of a claim. */
const CLAIMS: Readonly<Record<string, Partial<ClaimOptions>>> = {
  [EVERY_QUEUE]: {},
  'every queue, by scheduled_at': { sort: 'scheduled_at' },
  'every queue, honouring pauses': { honoursPauses: true },
  'every queue, from a position': { from: position },
  'every queue, newly due': { newlyDue: { after: AT, before: position } },
  'one queue': { selector: { kind: 'include', queues: ['default'], isOrdered: false } },
  'one queue, honouring pauses': {
    selector: { kind: 'include', queues: ['default'], isOrdered: false },
    honoursPauses: true,
  },
  'one queue, from a position': {
    selector: { kind: 'include', queues: ['default'], isOrdered: false },
    from: position,
  },
  'two queues': { selector: { kind: 'include', queues: ['default', 'mail'], isOrdered: false } },
  'two queues, in order': { selector: { kind: 'include', queues: ['default', 'mail'], isOrdered: true } },
  'all but one queue': { selector: { kind: 'exclude', queues: ['mail'] } },
}

const claimShapes = Object.entries(CLAIMS).map(
  ([name, options]): Shape => ({
    name: `claim/claim, ${name}`,
    of: claim,
    isSameIn40: name !== EVERY_QUEUE,
    send: (db, facts) => claim(db, facts, { ...request, ...options }),
  }),
)

export const CLAIM_SHAPES: readonly Shape[] = [
  ...claimShapes,
  { name: 'claim/reacquire', of: reacquire, send: (db, facts) => reacquire(db, facts, [outcome], PROCESS_ID) },
  {
    name: 'claim/release unknown claims',
    of: releaseUnknownClaims,
    send: (db, facts) =>
      releaseUnknownClaims(db, facts, { processId: PROCESS_ID, knownIds: [], claimedAt: [AT], claimedBefore: AT }),
  },
  {
    name: 'claim/next start',
    of: findNextScheduledAt,
    send: (db, facts) => findNextScheduledAt(db, facts, { ...request, from: AT, to: AT }),
  },
  { name: 'claim/waiting queues', of: findWaitingQueues, send: (db) => findWaitingQueues(db) },
  { name: 'claim/release locks', of: releaseAdvisoryLocks, send: (db) => releaseAdvisoryLocks(db, [KEY]) },
  {
    name: 'claim/release other locks',
    of: releaseOtherAdvisoryLocks,
    send: (db) => releaseOtherAdvisoryLocks(db, [KEY]),
  },
]
