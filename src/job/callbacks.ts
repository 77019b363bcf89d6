import { CallbackAbortError, GoodJobError } from '../errors.ts'
import type { Job } from './base.ts'

/** Runs the later callbacks and then the job (or its enqueue). Call it once and await it. */
export type Next = () => Promise<void>

export type CallbackFunction<T extends Job = Job> = (job: T) => unknown
export type AroundFunction<T extends Job = Job> = (job: T, next: Next) => unknown

export interface JobCallbackOptions<T extends Job = Job> {
  /** The callback runs only if this returns true. */
  readonly if?: (job: T) => boolean
  /** The callback runs only if this returns false. */
  readonly unless?: (job: T) => boolean
}

export type JobCallback = (
  | { readonly kind: 'before' | 'after'; readonly run: CallbackFunction }
  | { readonly kind: 'around'; readonly run: AroundFunction }
) &
  JobCallbackOptions

/** Ends the chain in a before callback: the job is not performed (or not enqueued), and not retried. Ruby: `throw :abort`. */
export const throwAbort = (): never => {
  throw new CallbackAbortError()
}

/** The value with which the innermost function of a chain aborts it, like a before callback that calls `throwAbort()`. */
export const ABORTED = Symbol('aborted')

interface Chain {
  readonly job: Job
  readonly callbacks: readonly JobCallback[]
  readonly body: () => unknown
  isAborted: boolean
}

/**
 * Runs `body` inside the callbacks and returns whether a before callback, or `body` itself, aborted it. The first declared callback is the
 * outermost one; before, around and after callbacks are interleaved in the order of declaration (Active Support callbacks.rb).
 */
export const runCallbacks = async (
  job: Job,
  callbacks: readonly JobCallback[],
  body: () => unknown,
): Promise<{ readonly isAborted: boolean }> => {
  const chain: Chain = { job, callbacks, body, isAborted: false }
  await runFrom(chain, 0)
  return chain
}

const runFrom = async (chain: Chain, index: number): Promise<void> => {
  const callback = chain.callbacks[index]
  if (!callback) {
    if ((await chain.body()) === ABORTED) chain.isAborted = true
    return
  }
  if (!applies(callback, chain.job)) return runFrom(chain, index + 1)
  switch (callback.kind) {
    case 'before':
      return runBefore(chain, callback.run, index)
    case 'around':
      return runAround(chain, callback.run, index)
    case 'after':
      await runFrom(chain, index + 1)
      if (!chain.isAborted) await callback.run(chain.job)
      return
    default:
      callback satisfies never
  }
}

const applies = (callback: JobCallback, job: Job): boolean =>
  (callback.if?.(job) ?? true) && !(callback.unless?.(job) ?? false)

const runBefore = async (chain: Chain, before: CallbackFunction, index: number): Promise<void> => {
  try {
    await before(chain.job)
  } catch (error) {
    if (!(error instanceof CallbackAbortError)) throw error
    chain.isAborted = true
    return
  }
  await runFrom(chain, index + 1)
}

const runAround = async (chain: Chain, around: AroundFunction, index: number): Promise<void> => {
  let inside: Promise<void> | undefined
  let isSettled = false
  const next = () => {
    if (inside) throw new GoodJobError('An around callback called next() twice; the job would run twice')
    inside = runFrom(chain, index + 1).finally(() => {
      isSettled = true
    })
    return inside
  }
  // Even if a callback did not await next(), the job must not end before `body` has ended.
  try {
    await around(chain.job, next)
  } catch (error) {
    if (!isSettled) await (inside as Promise<void> | undefined)?.catch(() => {})
    throw error
  }
  if (!isSettled) await inside
}
