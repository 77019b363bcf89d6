import type { Job, JobConstructor } from '../../job/base.ts'
import {
  countsAllRunningJobs,
  hasPerformRules,
  hasStaticPerformRules,
  type PerformRule,
  performRulesOf,
  performRulesOfRow,
} from '../../job/concurrency/evaluation.ts'
import type { JobRegistry } from '../../job/definition/registry.ts'
import { asError } from '../../job/exceptions/error-names.ts'
import { readArguments } from '../../job/performing.ts'
import { DETACHED_RUN } from '../../job/run.ts'
import { STATE } from '../../job/state.ts'
import type { RailsVersion } from '../../serialize/rails-version.ts'
import type { GlobalID } from '../../serialize/values/global-id.ts'
import type { FullScopes, LimitedJobs, LimitedRow } from '../../sql/concurrency/limited.ts'
import type { Clock } from '../../time.ts'
import { buildJob } from '../attempt/execution.ts'

/** A due job, and the rules under which it may start. */
export interface Candidate {
  readonly row: LimitedRow
  readonly rules: readonly PerformRule[]
  /** Functions of the class computed the rules. They may return other values later. */
  readonly isComputed?: boolean
  /** Why the rules are unknown. Such a job is started, and its attempt fails with this error, as in Ruby. */
  readonly error?: Error
}

/** A rule of the worker's configuration: it holds for every job with the label or key. */
export interface WorkerRule extends PerformRule {
  readonly label?: string
  readonly key?: string
}

export interface RuleBookOptions {
  readonly registry: JobRegistry
  readonly workerRules: readonly WorkerRule[]
  readonly railsVersion: RailsVersion
  readonly clock: Clock
  readonly locate: (gid: GlobalID) => Promise<unknown>
}

/** Finds the rules of jobs by their rows. */
export class RuleBook {
  readonly #options: RuleBookOptions

  constructor(options: RuleBookOptions) {
    this.#options = options
  }

  /** Whether no job that this worker may run has rules. */
  get isEmpty(): boolean {
    return this.#options.workerRules.length === 0 && this.#limitedClasses().length === 0
  }

  /** Whether a rule counts all running jobs: then each start must be visible at once. */
  get countsAllJobs(): boolean {
    const { registry } = this.#options
    return registry.names().some((name) => countsAllRunningJobs(registry.get(name) ?? Object))
  }

  /** The jobs that a claim must not start. */
  limitedJobs(claim: LimitedJobs['claim'], full: FullScopes): LimitedJobs {
    const { registry, workerRules } = this.#options
    const jobClasses = this.#limitedClasses()
    return {
      claim,
      jobClasses,
      labels: workerRules.flatMap(({ label }) => label ?? []),
      keys: workerRules.flatMap(({ key }) => key ?? []),
      readsArguments: jobClasses.filter((name) => !hasStaticPerformRules(registry.get(name) ?? Object)),
      full,
    }
  }

  /** Returns due jobs with their rules; asynchronous because arguments may have to be located. */
  candidates(rows: readonly LimitedRow[]): Promise<Candidate[]> {
    return Promise.all(rows.map((row) => this.#candidate(row)))
  }

  /** Returns the candidates with their present rules. */
  renewed(candidates: readonly Candidate[]): readonly Candidate[] | Promise<readonly Candidate[]> {
    if (!candidates.some(({ isComputed }) => isComputed)) return candidates
    return Promise.all(
      candidates.map((candidate) => (candidate.isComputed ? this.#candidate(candidate.row) : candidate)),
    )
  }

  async #candidate(row: LimitedRow): Promise<Candidate> {
    const jobClass = this.#options.registry.get(row.job_class)
    const isComputed = jobClass !== undefined && !hasStaticPerformRules(jobClass, row)
    try {
      return { row, rules: [...this.#workerRulesOf(row), ...(await this.#classRulesOf(jobClass, row))], isComputed }
    } catch (error) {
      return { row, rules: [], isComputed, error: asError(error) }
    }
  }

  async #classRulesOf(jobClass: JobConstructor | undefined, row: LimitedRow): Promise<readonly PerformRule[]> {
    if (jobClass === undefined || !hasPerformRules(jobClass)) return []
    if (hasStaticPerformRules(jobClass, row)) return performRulesOfRow(jobClass, row)
    const { railsVersion, locate, clock } = this.#options
    const job = jobOfRow(jobClass, row)
    job[STATE].run = { ...DETACHED_RUN, railsVersion, locate, clock }
    // Ruby calls the functions of a rule in the running attempt.
    job.executions += 1
    await readArguments(job)
    return performRulesOf(job)
  }

  #workerRulesOf({ labels, concurrency_key }: LimitedRow): readonly PerformRule[] {
    return this.#options.workerRules.filter(({ label, key }) =>
      label === undefined ? key === concurrency_key : (labels?.includes(label) ?? false),
    )
  }

  #limitedClasses(): string[] {
    const { registry } = this.#options
    return registry.names().filter((name) => hasPerformRules(registry.get(name) ?? Object))
  }
}

const jobOfRow = (jobClass: JobConstructor, { id, labels, serialized_params, concurrency_key }: LimitedRow): Job =>
  buildJob({
    jobClass,
    id,
    serializedParams: serialized_params ?? 'null',
    labels,
    concurrencyKey: concurrency_key,
    interruptedAt: null,
  })
