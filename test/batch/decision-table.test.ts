import { describe, expect, test } from 'vitest'
import {
  callbackClass,
  type DecisionInput,
  decideBatch,
  needsProof,
  type Proof,
} from '../../src/batch/completion/decision.ts'
import type { LockedBatch } from '../../src/sql/batch/check.ts'
import { BROKEN, D, F, J, NOW, state } from './decision-times.ts'

interface Case {
  readonly name: string
  readonly given?: Partial<LockedBatch>
  readonly brokenAt?: string
  readonly proof?: Proof
  readonly refireFinish?: boolean
  /** Expected times as D, J, F and the callbacks; both with and without the column where only `with` is given. */
  readonly with: readonly [string | null, string | null, string | null, ...string[]]
  readonly without?: readonly [string | null, string | null, ...string[]]
}

// Times with the column: D, J, F. Without it: D, F. Then the callbacks in their order.
const CASES: readonly Case[] = [
  { name: 'members are open', given: { has_open_member: true }, with: [null, null, null], without: [null, null] },
  {
    name: 'the last member succeeded [GJ-065]',
    with: [null, NOW, null, 'success', 'finish'],
    without: [null, NOW, 'success', 'finish'],
  },
  {
    name: 'the first member failed for good while others are unfinished [GJ-066]',
    given: { has_open_member: true },
    brokenAt: BROKEN,
    with: [BROKEN, null, null, 'discard'],
    without: [BROKEN, null, 'discard'],
  },
  {
    name: 'a second member failed for good while others are unfinished',
    given: { has_open_member: true, discarded_at: D },
    brokenAt: BROKEN,
    with: [D, null, null],
    without: [D, null],
  },
  {
    name: 'the last member failed for good',
    given: { broken_at: BROKEN },
    brokenAt: BROKEN,
    with: [BROKEN, NOW, null, 'discard', 'finish'],
    without: [BROKEN, NOW, 'discard', 'finish'],
  },
  {
    name: 'the last member failed for good and was deleted in the same write',
    brokenAt: BROKEN,
    with: [BROKEN, NOW, null, 'discard', 'finish'],
    without: [BROKEN, NOW, 'discard', 'finish'],
  },
  {
    name: 'the last member succeeded; another was discarded without a check of the batch (row g)',
    given: { broken_at: BROKEN },
    with: [BROKEN, NOW, null, 'discard', 'finish'],
    without: [BROKEN, NOW, 'discard', 'finish'],
  },
  {
    name: 'the last member succeeded in a discarded batch',
    given: { discarded_at: D, broken_at: BROKEN },
    with: [D, NOW, null, 'finish'],
    without: [D, NOW, 'finish'],
  },
  {
    name: 'the only discarded member was retried and succeeded (row 0)',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'proven' },
    with: [null, NOW, null, 'success'],
    without: [null, NOW, 'success'],
  },
  {
    name: 'the only discarded member was retried and succeeded, and on_finish is to fire again',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'proven' },
    refireFinish: true,
    with: [null, NOW, null, 'success', 'finish'],
    without: [null, NOW, 'success', 'finish'],
  },
  {
    name: 'a discarded batch whose other members ended later (row b)',
    given: { discarded_at: D },
    proof: { kind: 'proven' },
    with: [null, NOW, null, 'success', 'finish'],
    without: [null, NOW, 'success', 'finish'],
  },
  {
    name: 'other members of a discarded batch ended later, and on_finish fires once although it is allowed to fire again',
    given: { discarded_at: D },
    proof: { kind: 'proven' },
    refireFinish: true,
    with: [null, NOW, null, 'success', 'finish'],
  },
  {
    name: 'another process fired on_success too early (row k)',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'already_succeeded' },
    with: [null, J, F],
    without: [null, F],
  },
  {
    name: 'the recovery of the batch is not proven',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'unproven', reason: 'gone' },
    with: [D, J, F],
    without: [D, F],
  },
  {
    name: 'the recovery of the batch is not proven and the members end only now',
    given: { discarded_at: D },
    proof: { kind: 'unproven', reason: 'gone' },
    with: [D, NOW, null, 'finish'],
    without: [D, NOW, 'finish'],
  },
  {
    name: 'the last callback ended [GJ-069]',
    given: { jobs_finished_at: J },
    with: [null, J, NOW],
  },
  {
    name: 'a callback is unfinished',
    given: { jobs_finished_at: J, has_open_callback: true },
    with: [null, J, null],
  },
  {
    name: 'a callback ended while a retried member is unfinished',
    given: { discarded_at: D, jobs_finished_at: J, has_open_member: true },
    with: [D, J, null],
  },
  {
    name: 'the batch was never enqueued and a member failed for good',
    given: { enqueued_at: null },
    brokenAt: BROKEN,
    with: [BROKEN, null, null, 'discard'],
    without: [BROKEN, null, 'discard'],
  },
  {
    name: 'the batch was never enqueued',
    given: { enqueued_at: null },
    with: [null, null, null],
    without: [null, null],
  },
  {
    name: 'a batch without callbacks ends at once',
    given: { on_discard: null, on_success: ' ', on_finish: '' },
    with: [null, NOW, NOW],
    without: [null, NOW],
  },
  {
    name: 'a discarded batch without on_success recovers and is finished',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F, on_success: null },
    proof: { kind: 'proven' },
    with: [null, NOW, NOW],
    without: [null, NOW],
  },
]

const inputOf = (one: Case, hasJobsFinishedAt: boolean): DecisionInput => {
  const given = state(one.given)
  return {
    state: hasJobsFinishedAt ? given : { ...given, jobs_finished_at: null },
    brokenAt: one.brokenAt,
    now: NOW,
    hasJobsFinishedAt,
    proof: one.proof,
    refireFinish: one.refireFinish ?? false,
  }
}

describe('a check with the column jobs_finished_at', () => {
  for (const one of CASES) {
    test(one.name, () => {
      const { discardedAt, jobsFinishedAt, finishedAt, callbacks } = decideBatch(inputOf(one, true))
      expect([discardedAt, jobsFinishedAt, finishedAt, ...callbacks]).toEqual(one.with)
    })
  }
})

describe('a check without it', () => {
  for (const one of CASES) {
    if (one.without === undefined) continue
    test(one.name, () => {
      const { discardedAt, finishedAt, callbacks } = decideBatch(inputOf(one, false))
      expect([discardedAt, finishedAt, ...callbacks]).toEqual(one.without)
    })
  }
})

test('a decision carries a reason only when it refuses the recovery', () => {
  const discarded = { discarded_at: D, jobs_finished_at: J, finished_at: F }
  const decide = (proof: Proof) =>
    decideBatch({
      state: state(discarded),
      brokenAt: undefined,
      now: NOW,
      hasJobsFinishedAt: true,
      proof,
      refireFinish: false,
    })
  expect(decide({ kind: 'unproven', reason: 'gone' })).toMatchObject({ unproven: 'gone', steps: [] })
  expect(decide({ kind: 'proven' }).unproven).toBeUndefined()
})

test('a blank class name counts as no callback', () => {
  expect(callbackClass(state({ on_success: '  ' }), 'success')).toBeUndefined()
  expect(callbackClass(state({ on_success: 'Done' }), 'success')).toBe('Done')
})

test('a proof is requested only when a discarded batch has no unfinished and no failed member', () => {
  expect(needsProof(state({ discarded_at: D }))).toBe(true)
  expect(needsProof(state())).toBe(false)
  expect(needsProof(state({ discarded_at: D, has_open_member: true }))).toBe(false)
  expect(needsProof(state({ discarded_at: D, broken_at: BROKEN }))).toBe(false)
})
