import type { Client } from 'pg'
import { goodJobsWaiting, type Waiting } from './seed.ts'

/** Somebody who works on jobs, and what it needs around it. */
export interface Contender {
  /** Unique in a suite; the row of its table. */
  readonly name: string
  /** Contenders of one line in a picture. */
  readonly family: string
  /** Where it stands on the picture's x axis. */
  readonly x: number
  /** Its module in workers/ or peers/. */
  readonly module: string
  readonly options: Readonly<Record<string, unknown>>
  /** Of the suite's jobs it gets this part: slow ones would take minutes for the same. @default 1 */
  readonly share?: number
  readonly tables: Tables
}

/** The tables of a contender. */
export interface Tables {
  readonly name: string
  /** Fills an empty database with its tables and jobs that wait. */
  waiting(jobs: number): (client: Client) => Promise<void>
  /** Answers no row when nothing is left to do. */
  readonly left: string
}

const moduleUrl = (path: string): string => new URL(path, import.meta.url).href

const goodJobTables = (waiting: Omit<Waiting, 'jobs'> = {}): Tables => ({
  name: 'good_job',
  waiting: (jobs) => goodJobsWaiting({ ...waiting, jobs }),
  left: `SELECT 1 FROM good_jobs WHERE job_class = 'NoopJob' AND finished_at IS NULL LIMIT 1`,
})

const GOOD_JOB = goodJobTables()

export const goodJobNode = (threads: number, options: Record<string, unknown> = {}): Contender => {
  const words = Object.entries(options).map(([name, value]) => `, ${name} ${value}`)
  return {
    name: `good-job-node, ${threads} threads${words.join('')}`,
    family: `good-job-node${words.join('')}`,
    x: threads,
    module: moduleUrl('./workers/good-job-node.ts'),
    options: { threads, ...options },
    tables: GOOD_JOB,
    ...(threads <= 10 ? { share: 0.4 } : {}),
  }
}

export interface FloorKind {
  readonly isDeferred?: boolean
  readonly isDeleting?: boolean
  readonly queue?: string
}

export const floor = (batch: number, connections: number, kind: FloorKind = {}): Contender => {
  const { isDeferred = false, isDeleting = false } = kind
  const family = `floor ${isDeferred ? 'deferred' : 'classic'}${isDeleting ? ', rows deleted' : ''}, ${connections} ${connections === 1 ? 'connection' : 'connections'}`
  return {
    name: `${family}, batches of ${batch}`,
    family,
    x: batch,
    module: moduleUrl('./workers/floor.ts'),
    options: { batch, connections, isDeferred, isDeleting, queue: kind.queue },
    tables: GOOD_JOB,
    ...(batch === 1 ? { share: 0.1 } : batch === 10 ? { share: 0.4 } : {}),
  }
}
