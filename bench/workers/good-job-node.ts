import { Adapter, Capsule, type CapsuleOptions, Job } from '../../dist/index.js'
import type { ContenderModule } from './spec.ts'

const BULK = 1_000

/** The package as built, with default settings unless `options` says otherwise. */
export const makeWorker: ContenderModule['makeWorker'] = async (spec, body) => {
  class NoopJob extends Job {
    static override queueAs = 'bench'
    perform(sentAt?: number): Promise<void> | undefined {
      return body(sentAt)
    }
  }
  const capsule = new Capsule({
    databaseUrl: spec.databaseUrl,
    ...(spec.options as Partial<CapsuleOptions>),
    jobs: [NoopJob],
  })
  return { start: () => capsule.start(), stop: () => capsule.shutdown() }
}

export const makeEnqueuer: ContenderModule['makeEnqueuer'] = async (spec) => {
  class NoopJob extends Job {
    static override queueAs = 'bench'
    perform(_sentAt?: number): void {}
  }
  const adapter = new Adapter({ databaseUrl: spec.databaseUrl })
  return {
    one: (sentAt) => adapter.enqueue(sentAt === undefined ? new NoopJob() : new NoopJob(sentAt)),
    many: (count = BULK) => adapter.enqueueAll(Array.from({ length: count }, () => new NoopJob())),
    close: () => adapter.close(),
  }
}
