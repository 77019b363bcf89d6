import type { Client } from 'pg'
import { OPTION_RULES } from '../src/configuration.ts'
import type { SeriesKey } from './figure.ts'
import { goodJobsWaiting, type Waiting } from './seed.ts'
import type { Rule } from './workers/limited-job.ts'

/** A system that runs jobs, and what it needs around it. */
export interface Contender {
  /** The row of its table. */
  readonly name: string
  /** Unique in a suite. */
  readonly key: SeriesKey
  /** Contenders of one line in a picture. */
  readonly family: string
  /** Where it stands on the picture's x axis. */
  readonly x: number
  /** URL of its module in workers/ or peers/; absent: GoodJob itself, a Ruby process. */
  readonly module?: string
  readonly options: Readonly<Record<string, unknown>>
  /** Of the suite's jobs it gets this part: slow ones would take minutes for the same. @default 1 */
  readonly share?: number
  readonly tables: Tables
}

/** The tables of a contender. */
export interface Tables {
  readonly name: string
  /** Fills an empty database with its tables and jobs that wait. */
  waiting(jobs: number): (client: Client, url: string) => Promise<void>
  /** Returns no row when nothing is left to do. */
  readonly left: string
}

const moduleUrl = (path: string): string => new URL(path, import.meta.url).href

const goodJobTables = (name: string, waiting: Omit<Waiting, 'jobs'> = {}): Tables => ({
  name,
  waiting: (jobs) => goodJobsWaiting({ ...waiting, jobs }),
  left: `SELECT 1 FROM good_jobs WHERE job_class = '${waiting.jobClass ?? 'NoopJob'}' AND finished_at IS NULL LIMIT 1`,
})

const GOOD_JOB = goodJobTables('good_job')

/** Jobs of the class that may have a rule, each with one of this number of concurrency keys. */
export const limitedTables = (keys: number): Tables =>
  goodJobTables(`good_job ${keys} keys`, { jobClass: 'LimitedNoopJob', keys })

/** The same contender with jobs that have a rule, on their tables. Without a limit in the rule the jobs have only the key. */
export const withRule = (contender: Contender, text: string, rule: Rule): Contender => ({
  ...contender,
  name: `${contender.name}, ${text}`,
  key: { ...contender.key, rule: text },
  family: text,
  options: { ...contender.options, rule },
  tables: limitedTables(rule.keys),
  share: 1,
})

/** Threads up to which a worker gets this part of the jobs. */
const SHARES = [
  [1, 0.05],
  [5, 0.15],
  [10, 0.3],
] as const

export interface NodeSettings {
  readonly lanes?: number
  readonly deferStart?: number
  readonly preserveJobRecords?: boolean
  readonly queues?: string
}

export const goodJobNode = (threads: number, options: NodeSettings = {}): Contender => {
  const { lanes = 1, deferStart = 0, ...others } = options
  const words = Object.entries(options).map(([name, value]) => `, ${name} ${value}`)
  return {
    name: `good-job-node, ${threads} threads${words.join('')}`,
    key: { library: 'good-job-node', threads, connections: lanes, deferStart, ...others },
    family: `good-job-node${words.join('')}`,
    x: threads,
    module: moduleUrl('../.tmp/bench-workers/good-job-node.js'),
    options: { threads, ...options },
    tables: GOOD_JOB,
    share: SHARES.find(([upTo]) => threads <= upTo)?.[1] ?? 1,
  }
}

/** Milliseconds for which the start of a job may wait to be written together with its end. */
const DEFER_MS = 10

/** The same with deferred start, where the package has it. */
export const goodJobNodeDeferring = (threads: readonly number[], options: NodeSettings = {}): Contender[] =>
  'deferStart' in OPTION_RULES ? threads.map((count) => goodJobNode(count, { ...options, deferStart: DEFER_MS })) : []

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
    key: {
      library: 'floor',
      variant: isDeferred ? 'deferred' : 'classic',
      batch,
      connections,
      ...(isDeleting && { preserveJobRecords: false }),
    },
    family,
    x: batch,
    module: moduleUrl('../.tmp/bench-workers/floor.js'),
    options: { batch, connections, isDeferred, isDeleting, queue: kind.queue },
    tables: GOOD_JOB,
    ...(batch === 1 ? { share: 0.1 } : batch === 10 ? { share: 0.3 } : {}),
  }
}

/** GoodJob 4.23.1 in the Rails application of compat/, with the threads it has by default. */
export const goodJobRuby = (lockStrategy: 'advisory' | 'skiplocked' | 'hybrid', threads = 5): Contender => ({
  name: `GoodJob (Ruby), ${lockStrategy}, ${threads} threads`,
  key: { library: 'good-job', variant: lockStrategy, threads },
  family: `GoodJob (Ruby), ${lockStrategy}`,
  x: threads,
  options: { lockStrategy, threads },
  share: 0.02,
  tables: GOOD_JOB,
})

const peerTables = async (name: string): Promise<Tables> => {
  const { waiting, left } = (await import(moduleUrl(`./peers/${name}.js`))) as Omit<Tables, 'name'>
  return { name, waiting, left }
}

const GRAPHILE = await peerTables('graphile-worker')
const PG_BOSS = await peerTables('pg-boss')

/** Its documentation: a pool of 10, or of two more than the jobs at a time. */
export const graphileDefault = (concurrentJobs: number): Contender => ({
  name: `graphile-worker, ${concurrentJobs} concurrent`,
  key: { library: 'graphile-worker', variant: 'classic', threads: concurrentJobs },
  family: 'graphile-worker',
  x: concurrentJobs,
  module: moduleUrl('./peers/graphile-worker.js'),
  options: { concurrentJobs, maxPoolSize: Math.max(10, concurrentJobs + 2) },
  share: 0.3,
  tables: GRAPHILE,
})

/** The settings of its documentation's own benchmark. */
export const graphileBatching = (): Contender => ({
  name: 'graphile-worker batching, 24 concurrent',
  key: { library: 'graphile-worker', variant: 'batching', threads: 24 },
  family: 'graphile-worker batching',
  x: 24,
  module: moduleUrl('./peers/graphile-worker.js'),
  options: {
    concurrentJobs: 24,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
  tables: GRAPHILE,
})

/** It fetches again at once while batches are full. */
export const pgBoss = (batchSize: number): Contender => ({
  name: `pg-boss, batches of ${batchSize}`,
  key: { library: 'pg-boss', variant: 'batching', batch: batchSize },
  family: 'pg-boss',
  x: batchSize,
  module: moduleUrl('./peers/pg-boss.js'),
  options: { batchSize, burstWhenBatchFull: true },
  tables: PG_BOSS,
})

/** Its `work` with NOTIFY and `localConcurrency`. */
export const pgBossNotify = (options: { readonly localConcurrency?: number } = {}): Contender => {
  const { localConcurrency: threads = 1 } = options
  return {
    ...pgBoss(1),
    name: `pg-boss with notify${threads === 1 ? '' : `, ${threads} workers`}`,
    key: { library: 'pg-boss', variant: 'notify', threads },
    options,
  }
}

/** Its `work` pauses between single jobs, so this is what an application does that calls `fetch` and `complete` in loops. */
export const pgBossLoops = (loops: number): Contender => ({
  name: `pg-boss, ${loops} loops of one job`,
  key: { library: 'pg-boss', variant: 'loops', threads: loops },
  family: 'pg-boss, loops of one job',
  x: loops,
  module: moduleUrl('./peers/pg-boss.js'),
  options: { loops },
  share: 0.15,
  tables: PG_BOSS,
})
