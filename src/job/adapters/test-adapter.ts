import { AssertionError } from 'node:assert'
import { DEFAULT_RAILS_VERSION, type RailsVersion } from '../../serialize/rails-version.ts'
import { type Clock, systemClock } from '../../time.ts'
import type { Job } from '../base.ts'
import { withEnqueueContext } from '../context.ts'
import { performNow } from '../performing.ts'
import { DETACHED_RUN } from '../run.ts'
import { jobToText } from '../serialization.ts'
import { STATE } from '../state.ts'
import type { QueueAdapter } from './queue-adapter.ts'
import { type ExpectedJob, isAsExpected, passes, type TestFilter, TestJob } from './test-jobs.ts'

export interface TestAdapterOptions {
  /** @default '7.2' */
  readonly railsVersion?: RailsVersion
  readonly clock?: Clock
}

type Block = () => unknown

/**
 * Keeps jobs in memory and runs them on a test's request: Active Job's TestAdapter and TestHelper in one. An assertion checks all jobs so
 * far. With a block it checks the jobs that the block added, and must be awaited.
 */
export class TestAdapter implements QueueAdapter {
  readonly name = 'Test'
  /** Jobs that wait to run, oldest first. */
  enqueuedJobs: TestJob[] = []
  /** Jobs that have run, oldest first. */
  performedJobs: TestJob[] = []
  /** Whether jobs with steps are interrupted at their next checkpoint. */
  stopping: boolean | (() => boolean) = false
  readonly #railsVersion: RailsVersion
  readonly #clock: Clock
  #performing: TestFilter | null = null

  constructor({ railsVersion = DEFAULT_RAILS_VERSION, clock = systemClock }: TestAdapterOptions = {}) {
    this.#railsVersion = railsVersion
    this.#clock = clock
  }

  async enqueue(job: Job): Promise<void> {
    const text = jobToText(job, { now: this.#clock.now(), railsVersion: this.#railsVersion })
    const testJob = new TestJob(job, text)
    if (this.#performing && passes(testJob, this.#performing)) return this.#perform(testJob)
    this.enqueuedJobs.push(testJob)
  }

  async enqueueAll(jobs: readonly Job[]): Promise<number> {
    for (const job of jobs) {
      await this.enqueue(job)
      job.successfullyEnqueued = true
    }
    return jobs.length
  }

  /** Removes all jobs. */
  clear(): void {
    this.enqueuedJobs = []
    this.performedJobs = []
  }

  /**
   * Runs the waiting jobs, but not the jobs that they enqueue. With a block, runs each job when the block enqueues it, even if it is
   * scheduled for later. Rejects with a job's unhandled error. Resolves with the number of jobs that ran.
   */
  async performEnqueuedJobs(filter: TestFilter = {}, block?: Block): Promise<number> {
    const before = this.performedJobs.length
    if (block) await this.#whilePerforming(filter, block)
    else await this.#performWaiting(filter)
    return this.performedJobs.length - before
  }

  assertEnqueuedJobs(count: number, filter?: TestFilter): void
  assertEnqueuedJobs(count: number, filter: TestFilter, block: Block): Promise<void>
  assertEnqueuedJobs(count: number, filter: TestFilter = {}, block?: Block): void | Promise<void> {
    const check = (jobs: readonly TestJob[]) => assertCount(jobs, count, { filter, verb: 'enqueued' })
    return block ? this.#added(block).then(check) : check(this.enqueuedJobs)
  }

  assertNoEnqueuedJobs(filter?: TestFilter): void
  assertNoEnqueuedJobs(filter: TestFilter, block: Block): Promise<void>
  assertNoEnqueuedJobs(filter: TestFilter = {}, block?: Block): void | Promise<void> {
    return block ? this.assertEnqueuedJobs(0, filter, block) : this.assertEnqueuedJobs(0, filter)
  }

  /** Returns the job that matches. */
  assertEnqueuedWith(expected: ExpectedJob): Job
  assertEnqueuedWith(expected: ExpectedJob, block: Block): Promise<Job>
  assertEnqueuedWith(expected: ExpectedJob, block?: Block): Job | Promise<Job> {
    const check = (jobs: readonly TestJob[]) => assertJob(jobs, expected, 'enqueued')
    return block ? this.#added(block).then(check) : check(this.enqueuedJobs)
  }

  /** With a block, runs the jobs that the block enqueues. */
  assertPerformedJobs(count: number, filter?: TestFilter): void
  assertPerformedJobs(count: number, filter: TestFilter, block: Block): Promise<void>
  assertPerformedJobs(count: number, filter: TestFilter = {}, block?: Block): void | Promise<void> {
    const check = (jobs: readonly TestJob[]) => assertCount(jobs, count, { filter, verb: 'performed' })
    return block ? this.#performed(filter, block).then(check) : check(this.performedJobs)
  }

  assertNoPerformedJobs(filter?: TestFilter): void
  assertNoPerformedJobs(filter: TestFilter, block: Block): Promise<void>
  assertNoPerformedJobs(filter: TestFilter = {}, block?: Block): void | Promise<void> {
    return block ? this.assertPerformedJobs(0, filter, block) : this.assertPerformedJobs(0, filter)
  }

  /** With a block, runs the jobs that the block enqueues. */
  assertPerformedWith(expected: ExpectedJob): Job
  assertPerformedWith(expected: ExpectedJob, block: Block): Promise<Job>
  assertPerformedWith(expected: ExpectedJob, block?: Block): Job | Promise<Job> {
    const check = (jobs: readonly TestJob[]) => assertJob(jobs, expected, 'performed')
    return block ? this.#performed({}, block).then(check) : check(this.performedJobs)
  }

  async #added(block: Block): Promise<readonly TestJob[]> {
    const before = new Set(this.enqueuedJobs)
    await block()
    return this.enqueuedJobs.filter((job) => !before.has(job))
  }

  async #performed(filter: TestFilter, block: Block): Promise<readonly TestJob[]> {
    const before = this.performedJobs.length
    await this.#whilePerforming(filter, block)
    return this.performedJobs.slice(before)
  }

  async #whilePerforming(filter: TestFilter, block: Block): Promise<void> {
    const outer = this.#performing
    this.#performing = filter
    try {
      await block()
    } finally {
      this.#performing = outer
    }
  }

  async #performWaiting(filter: TestFilter): Promise<void> {
    for (const job of this.enqueuedJobs.filter((waiting) => passes(waiting, filter))) {
      this.enqueuedJobs = this.enqueuedJobs.filter((waiting) => waiting !== job)
      await this.#perform(job)
    }
  }

  async #perform(testJob: TestJob): Promise<void> {
    this.performedJobs.push(testJob)
    const job = testJob.build()
    job[STATE].run = {
      ...DETACHED_RUN,
      clock: this.#clock,
      railsVersion: this.#railsVersion,
      stoppingReason: () => this.#isStopping() && 'stopping',
    }
    await withEnqueueContext({}, () => performNow(job))
  }

  #isStopping(): boolean {
    return typeof this.stopping === 'function' ? this.stopping() : this.stopping
  }
}

const list = (jobs: readonly TestJob[]): string =>
  jobs.length === 0 ? 'none' : jobs.map((job) => `\n  ${job.toString()}`).join('')

const assertCount = (
  jobs: readonly TestJob[],
  expected: number,
  { filter, verb }: { filter: TestFilter; verb: string },
): void => {
  const actual = jobs.filter((job) => passes(job, filter)).length
  if (actual === expected) return
  const message = `${expected} jobs expected, but ${actual} were ${verb}; in all: ${list(jobs)}`
  throw new AssertionError({ message, actual, expected, operator: 'strictEqual' })
}

const assertJob = (jobs: readonly TestJob[], expected: ExpectedJob, verb: string): Job => {
  const found = jobs.find((job) => isAsExpected(job, expected))
  if (found) return found.buildWithArguments()
  const wanted = { ...expected, job: expected.job?.name }
  throw new AssertionError({ message: `No ${verb} job matches; ${verb} jobs: ${list(jobs)}`, expected: wanted })
}
