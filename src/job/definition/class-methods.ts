import type { Job, JobClass } from '../base.ts'
import type { AroundFunction, CallbackFunction, JobCallbackOptions } from '../callbacks.ts'
import {
  type ConcurrencyOptions,
  type ConcurrencyRuleOptions,
  declareControl,
  declareRule,
} from '../concurrency/rules.ts'
import {
  type DiscardOnOptions,
  declareDiscard,
  declareRescue,
  declareRetry,
  type FailureFunction,
  type RetryOnOptions,
} from '../exceptions/exceptions.ts'
import type { ErrorMatcher, MatchedError } from '../exceptions/matching.ts'
import { declareOn } from './declarations.ts'

const asList = <M>(matchers: M | readonly M[]): readonly M[] =>
  Array.isArray(matchers) ? (matchers as readonly M[]) : [matchers as M]

type CallbackKind = 'before' | 'around' | 'after'

const addCallback = <T extends Job>(
  jobClass: JobClass<T>,
  chain: 'enqueue' | 'perform',
  callback: { kind: CallbackKind; run: CallbackFunction<T> | AroundFunction<T> } & JobCallbackOptions<T>,
): void => {
  declareOn(jobClass)[chain].push(callback as never)
}

/** The declarations of a job class, called in its `static { … }` block or from outside. */
export abstract class JobClassMethods {
  /**
   * Enqueues the job again after one of these errors, until `attempts` is reached. Then `onExhausted` handles the error, or the job fails
   * with it. Of several matching declarations the last one applies; a subclass's comes before its superclass's.
   */
  static retryOn<T extends Job, const M extends ErrorMatcher>(
    this: JobClass<T>,
    errors: M | readonly M[],
    options: RetryOnOptions = {},
    onExhausted?: FailureFunction<T, MatchedError<M>>,
  ): void {
    declareRetry(this, asList(errors), { options, onExhausted: onExhausted as FailureFunction | undefined })
  }

  /** Discards the job after one of these errors, without a retry. */
  static discardOn<T extends Job, const M extends ErrorMatcher>(
    this: JobClass<T>,
    errors: M | readonly M[],
    options: DiscardOnOptions = {},
    onDiscard?: FailureFunction<T, MatchedError<M>>,
  ): void {
    declareDiscard(this, asList(errors), { options, onDiscard: onDiscard as FailureFunction | undefined })
  }

  /** Passes these errors to `handler`. The job then counts as handled, unless the handler throws. */
  static rescueFrom<T extends Job, const M extends ErrorMatcher>(
    this: JobClass<T>,
    errors: M | readonly M[],
    handler: FailureFunction<T, MatchedError<M>>,
  ): void {
    declareRescue(this, asList(errors), handler as FailureFunction)
  }

  /** Called when a job ends without success and without a retry: discarded, attempts used up, or an unhandled error. */
  static afterDiscard<T extends Job>(this: JobClass<T>, run: FailureFunction<T>): void {
    declareOn(this).afterDiscard.push(run as FailureFunction)
  }

  static beforeEnqueue<T extends Job>(this: JobClass<T>, run: CallbackFunction<T>, on?: JobCallbackOptions<T>): void {
    addCallback(this, 'enqueue', { ...on, kind: 'before', run })
  }

  static aroundEnqueue<T extends Job>(this: JobClass<T>, run: AroundFunction<T>, on?: JobCallbackOptions<T>): void {
    addCallback(this, 'enqueue', { ...on, kind: 'around', run })
  }

  static afterEnqueue<T extends Job>(this: JobClass<T>, run: CallbackFunction<T>, on?: JobCallbackOptions<T>): void {
    addCallback(this, 'enqueue', { ...on, kind: 'after', run })
  }

  /** Runs before `perform`. If it calls `throwAbort()`, the job is skipped without an error. */
  static beforePerform<T extends Job>(this: JobClass<T>, run: CallbackFunction<T>, on?: JobCallbackOptions<T>): void {
    addCallback(this, 'perform', { ...on, kind: 'before', run })
  }

  /** Runs around `perform`. If it does not call `next()`, the job is skipped. */
  static aroundPerform<T extends Job>(this: JobClass<T>, run: AroundFunction<T>, on?: JobCallbackOptions<T>): void {
    addCallback(this, 'perform', { ...on, kind: 'around', run })
  }

  /** Runs after `perform`, unless it threw an error. */
  static afterPerform<T extends Job>(this: JobClass<T>, run: CallbackFunction<T>, on?: JobCallbackOptions<T>): void {
    addCallback(this, 'perform', { ...on, kind: 'after', run })
  }

  /**
   * Limits the jobs that have the same concurrency key, which is stored with each job. It replaces the control of a superclass.
   * @throws ConfigurationError for an invalid value. GoodJob: good_job_control_concurrency_with
   */
  static controlConcurrencyWith<T extends Job>(this: JobClass<T>, options: ConcurrencyOptions<T>): void {
    declareControl(this, options)
  }

  /**
   * Adds a rule that limits the jobs with the same label. A job must satisfy all rules of its class, those of superclasses included.
   * @throws ConfigurationError for an invalid value. GoodJob: good_job_concurrency_rule
   */
  static concurrencyRule<T extends Job>(this: JobClass<T>, options: ConcurrencyRuleOptions<T>): void {
    declareRule(this, options)
  }
}
