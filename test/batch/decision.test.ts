import { describe, expect, test } from 'vitest'
import {
  type BatchDecision,
  callbackClass,
  type DecisionInput,
  decideBatch,
  needsProof,
  type Proof,
} from '../../src/batch/decision.ts'
import type { BatchState } from '../../src/sql/batch-check.ts'

const E = '2026-01-01T00:00:00.000000Z'
const D = '2026-01-01T00:00:01.000000Z'
const BROKEN = '2026-01-01T00:00:02.000000Z'
const J = '2026-01-01T00:00:03.000000Z'
const F = '2026-01-01T00:00:04.000000Z'
const NOW = '2026-01-01T00:00:05.000000Z'

const state = (changes: Partial<BatchState> = {}): BatchState => ({
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

const PROOFS: readonly (Proof | undefined)[] = [
  undefined,
  { kind: 'proven' },
  { kind: 'already_succeeded' },
  { kind: 'unproven', reason: 'why not' },
]
const EITHER = [false, true] as const

/** Every input that a check can meet: 2^4 times, members, callbacks, this flush, proof, column, option. */
const everyInput = (): DecisionInput[] => {
  const inputs: DecisionInput[] = []
  for (const enqueued_at of [null, E])
    for (const discarded_at of [null, D])
      for (const jobs_finished_at of [null, J])
        for (const finished_at of [null, F])
          for (const has_open_member of EITHER)
            for (const broken_at of has_open_member ? [null] : [null, BROKEN])
              for (const has_open_callback of EITHER)
                for (const brokenAt of [undefined, BROKEN])
                  for (const proof of PROOFS)
                    for (const hasJobsFinishedAt of EITHER)
                      for (const refireFinish of EITHER) {
                        const times = { enqueued_at, discarded_at, jobs_finished_at, finished_at }
                        const members = { has_open_member, broken_at, has_open_callback }
                        if (!hasJobsFinishedAt && jobs_finished_at !== null) continue
                        inputs.push({
                          state: state({ ...times, ...members }),
                          brokenAt,
                          now: NOW,
                          hasJobsFinishedAt,
                          proof,
                          refireFinish,
                        })
                      }
  return inputs
}

const decideAll = (): (readonly [DecisionInput, BatchDecision])[] =>
  everyInput().map((input) => [input, decideBatch(input)])

const ended = ({ state, hasJobsFinishedAt }: DecisionInput): string | null =>
  hasJobsFinishedAt ? state.jobs_finished_at : state.finished_at

/** The state that the next check would read if nothing happened in between. */
const after = (input: DecisionInput, decision: BatchDecision): DecisionInput => ({
  ...input,
  brokenAt: undefined,
  state: {
    ...input.state,
    discarded_at: decision.discardedAt,
    jobs_finished_at: decision.jobsFinishedAt,
    finished_at: decision.finishedAt,
    has_open_callback: input.state.has_open_callback || decision.callbacks.length > 0,
  },
})

/** The first input whose decision breaks `rule`; for a message that shows it. */
const breaking = (rule: (input: DecisionInput, decision: BatchDecision) => boolean) =>
  decideAll()
    .filter(([input, decision]) => !rule(input, decision))
    .slice(0, 1)

describe('every input of a check', () => {
  test('is decided, and there are many of them', () => {
    expect(everyInput().length).toBeGreaterThan(2_000)
  })

  test('success is never fired while a member is open or broken, or while this flush breaks one', () => {
    const wrong = breaking(
      ({ state, brokenAt }, { callbacks }) =>
        !callbacks.includes('success') ||
        !(state.has_open_member || state.broken_at !== null || brokenAt !== undefined),
    )
    expect(wrong).toEqual([])
  })

  test('success is never fired for a discarded batch without a proof', () => {
    const wrong = breaking(
      ({ state, proof }, { callbacks }) =>
        !callbacks.includes('success') ||
        state.discarded_at === null ||
        (proof !== undefined && proof.kind !== 'unproven'),
    )
    expect(wrong).toEqual([])
  })

  test('success goes together with a batch that is not discarded any more', () => {
    expect(breaking((_, { callbacks, discardedAt }) => !callbacks.includes('success') || discardedAt === null)).toEqual(
      [],
    )
  })

  test('discarded_at is cleared by recovery alone', () => {
    const wrong = breaking(
      ({ state }, { discardedAt, steps }) =>
        state.discarded_at === null || discardedAt !== null || steps.includes('recover'),
    )
    expect(wrong).toEqual([])
  })

  test('a batch that was never enqueued neither completes nor finishes for the first time', () => {
    const wrong = breaking(
      (input, { callbacks, steps }) =>
        input.state.enqueued_at !== null ||
        ended(input) !== null ||
        (!callbacks.includes('success') && !callbacks.includes('finish') && !steps.includes('complete')),
    )
    expect(wrong).toEqual([])
  })

  test('a batch never completes or finishes while a member is open', () => {
    const wrong = breaking(
      ({ state }, { steps }) => !state.has_open_member || !(steps.includes('complete') || steps.includes('finish')),
    )
    expect(wrong).toEqual([])
  })

  test('on_finish is fired by completion alone, and by recovery where the option asks for it', () => {
    const wrong = breaking(
      ({ refireFinish }, { callbacks, steps }) =>
        !callbacks.includes('finish') || steps.includes('complete') || (refireFinish && steps.includes('recover')),
    )
    expect(wrong).toEqual([])
  })

  test('no callback is fired twice in one check', () => {
    expect(breaking((_, { callbacks }) => new Set(callbacks).size === callbacks.length)).toEqual([])
  })

  test('a second check of the result fires nothing', () => {
    const wrong = breaking((input, decision) => {
      const next = after(input, decision)
      // A proof is only asked for where it is needed, and the success of this very check is found by it.
      const proof = needsProof(next.state) && input.proof?.kind === 'unproven' ? input.proof : undefined
      return decideBatch({ ...next, proof }).callbacks.length === 0
    })
    expect(wrong).toEqual([])
  })

  test('a batch in which nothing is open or broken is complete and good after a check with a proof', () => {
    const wrong = breaking(({ state, brokenAt, proof, hasJobsFinishedAt }, decision) => {
      const isQuiet = !state.has_open_member && state.broken_at === null && brokenAt === undefined
      const isProven = state.discarded_at === null || (proof !== undefined && proof.kind !== 'unproven')
      if (!isQuiet || !isProven || state.enqueued_at === null) return true
      const endedAt = hasJobsFinishedAt ? decision.jobsFinishedAt : decision.finishedAt
      return decision.discardedAt === null && endedAt !== null
    })
    expect(wrong).toEqual([])
  })

  test('without the column jobs_finished_at nothing is written to it', () => {
    expect(breaking((input, { jobsFinishedAt }) => input.hasJobsFinishedAt || jobsFinishedAt === null)).toEqual([])
  })

  test('the batch is finished only when no callback is open [GJ-069]', () => {
    const wrong = breaking(
      ({ hasJobsFinishedAt, state }, { steps, callbacks }) =>
        !hasJobsFinishedAt || !steps.includes('finish') || (!state.has_open_callback && callbacks.length === 0),
    )
    expect(wrong).toEqual([])
  })

  test('a step is named exactly when a time changes', () => {
    const wrong = breaking(({ state, hasJobsFinishedAt }, decision) => {
      const isChanged =
        state.discarded_at !== decision.discardedAt ||
        (hasJobsFinishedAt && state.jobs_finished_at !== decision.jobsFinishedAt) ||
        state.finished_at !== decision.finishedAt
      return isChanged === decision.steps.length > 0
    })
    expect(wrong).toEqual([])
  })
})

interface Case {
  readonly name: string
  readonly given?: Partial<BatchState>
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
    name: 'the last member ended well [GJ-065]',
    with: [null, NOW, null, 'success', 'finish'],
    without: [null, NOW, 'success', 'finish'],
  },
  {
    name: 'the first member broke while others are open [GJ-066]',
    given: { has_open_member: true },
    brokenAt: BROKEN,
    with: [BROKEN, null, null, 'discard'],
    without: [BROKEN, null, 'discard'],
  },
  {
    name: 'a second member broke while others are open',
    given: { has_open_member: true, discarded_at: D },
    brokenAt: BROKEN,
    with: [D, null, null],
    without: [D, null],
  },
  {
    name: 'the last member broke',
    given: { broken_at: BROKEN },
    brokenAt: BROKEN,
    with: [BROKEN, NOW, null, 'discard', 'finish'],
    without: [BROKEN, NOW, 'discard', 'finish'],
  },
  {
    name: 'the last member broke and was deleted in the same write',
    brokenAt: BROKEN,
    with: [BROKEN, NOW, null, 'discard', 'finish'],
    without: [BROKEN, NOW, 'discard', 'finish'],
  },
  {
    name: 'the last member ended well, another is discarded and nobody noticed (row g)',
    given: { broken_at: BROKEN },
    with: [BROKEN, NOW, null, 'discard', 'finish'],
    without: [BROKEN, NOW, 'discard', 'finish'],
  },
  {
    name: 'the last member ended well in a discarded batch',
    given: { discarded_at: D, broken_at: BROKEN },
    with: [D, NOW, null, 'finish'],
    without: [D, NOW, 'finish'],
  },
  {
    name: 'the only discarded member was retried and is good (row 0)',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'proven' },
    with: [null, NOW, null, 'success'],
    without: [null, NOW, 'success'],
  },
  {
    name: 'the same, and finish is to be fired again',
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
    name: 'the same, and finish is fired once although it would be fired again',
    given: { discarded_at: D },
    proof: { kind: 'proven' },
    refireFinish: true,
    with: [null, NOW, null, 'success', 'finish'],
  },
  {
    name: 'success was fired too early by another process (row k)',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'already_succeeded' },
    with: [null, J, F],
    without: [null, F],
  },
  {
    name: 'nothing is proven',
    given: { discarded_at: D, jobs_finished_at: J, finished_at: F },
    proof: { kind: 'unproven', reason: 'gone' },
    with: [D, J, F],
    without: [D, F],
  },
  {
    name: 'nothing is proven and the members end only now',
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
    name: 'a callback is open',
    given: { jobs_finished_at: J, has_open_callback: true },
    with: [null, J, null],
  },
  {
    name: 'a callback ended while a retried member is open',
    given: { discarded_at: D, jobs_finished_at: J, has_open_member: true },
    with: [D, J, null],
  },
  {
    name: 'the batch was never enqueued and a member broke',
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

test('the reason for refusing is told, and only then', () => {
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

test('a blank class name is no callback', () => {
  expect(callbackClass(state({ on_success: '  ' }), 'success')).toBeUndefined()
  expect(callbackClass(state({ on_success: 'Done' }), 'success')).toBe('Done')
})

test('a proof is asked for only when a discarded batch has nothing open or broken', () => {
  expect(needsProof(state({ discarded_at: D }))).toBe(true)
  expect(needsProof(state())).toBe(false)
  expect(needsProof(state({ discarded_at: D, has_open_member: true }))).toBe(false)
  expect(needsProof(state({ discarded_at: D, broken_at: BROKEN }))).toBe(false)
})
