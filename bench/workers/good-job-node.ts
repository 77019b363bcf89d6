import { Adapter, Capsule, type CapsuleOptions, Job } from '../../dist/index.js'
import { limitedClass, type Rule } from './limited-job.ts'
import type { ContenderModule, WorkerSpec } from './spec.ts'

const BULK = 1_000

/** Settings of the worker, and the rule of its jobs. */
interface Settings {
  readonly rule: Rule | undefined
  readonly options: Partial<CapsuleOptions>
}

const settingsOf = ({ options: { rule, ...options } }: WorkerSpec): Settings => ({
  rule: rule as Rule | undefined,
  options,
})

/** The package as built, with default settings unless `options` says otherwise. */
export const makeWorker: ContenderModule['makeWorker'] = async (spec, perform) => {
  class NoopJob extends Job {
    static override queueAs = 'bench'
    perform(sentAt?: number): Promise<void> | undefined {
      return perform(sentAt)
    }
  }
  const { rule, options } = settingsOf(spec)
  const jobs = rule === undefined ? [NoopJob] : [NoopJob, limitedClass(rule, perform)]
  const capsule = new Capsule({ databaseUrl: spec.databaseUrl, ...options, jobs })
  return { start: () => capsule.start(), stop: () => capsule.shutdown() }
}

export const makeEnqueuer: ContenderModule['makeEnqueuer'] = async (spec) => {
  class NoopJob extends Job {
    static override queueAs = 'bench'
    perform(_sentAt?: number): void {}
  }
  const { rule } = settingsOf(spec)
  const jobClass = rule === undefined ? NoopJob : limitedClass(rule, () => undefined)
  const adapter = new Adapter({ databaseUrl: spec.databaseUrl })
  return {
    one: (sentAt) => adapter.enqueue(sentAt === undefined ? new jobClass() : new jobClass(sentAt)),
    // As Bulk.enqueue does.
    many: (count = BULK) =>
      adapter.enqueueAll(
        Array.from({ length: count }, () => new jobClass()),
        { checksRules: true },
      ),
    close: () => adapter.close(),
  }
}
