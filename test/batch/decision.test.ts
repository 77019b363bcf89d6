import { describe, expect, test } from 'vitest'
import {
  type BatchDecision,
  type DecisionInput,
  decideBatch,
  needsProof,
  type Proof,
} from '../../src/batch/completion/decision.ts'
import { BROKEN, D, E, F, J, NOW, state } from './decision-times.ts'

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
  test('leads to a decision, and there are more than two thousand inputs', () => {
    expect(everyInput().length).toBeGreaterThan(2_000)
  })

  test('on_success never fires while a member is unfinished or failed, or while this flush fails one', () => {
    const wrong = breaking(
      ({ state, brokenAt }, { callbacks }) =>
        !callbacks.includes('success') ||
        !(state.has_open_member || state.broken_at !== null || brokenAt !== undefined),
    )
    expect(wrong).toEqual([])
  })

  test('on_success never fires for a discarded batch without a proof', () => {
    const wrong = breaking(
      ({ state, proof }, { callbacks }) =>
        !callbacks.includes('success') ||
        state.discarded_at === null ||
        (proof !== undefined && proof.kind !== 'unproven'),
    )
    expect(wrong).toEqual([])
  })

  test('on_success fires only if the batch is no longer discarded afterwards', () => {
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

  test('a batch never completes or finishes while a member is unfinished', () => {
    const wrong = breaking(
      ({ state }, { steps }) => !state.has_open_member || !(steps.includes('complete') || steps.includes('finish')),
    )
    expect(wrong).toEqual([])
  })

  test('on_finish fires on completion, and on recovery only if the option asks for it', () => {
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
      // A proof is only requested where it is needed, and it finds the success callback that this very check enqueued.
      const proof = needsProof(next.state) && input.proof?.kind === 'unproven' ? input.proof : undefined
      return decideBatch({ ...next, proof }).callbacks.length === 0
    })
    expect(wrong).toEqual([])
  })

  test('a batch without unfinished or failed members is complete and not discarded after a check with a proof', () => {
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

  test('the batch is finished only when no callback is unfinished [GJ-069]', () => {
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
