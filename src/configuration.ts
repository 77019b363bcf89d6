import { parseConcurrency, type WorkerConcurrencyRule } from './concurrency-option.ts'
import { nearest, parseBoolean } from './configuration-values.ts'
import { warnOfMisspelt } from './environment.ts'
import { ConfigurationError } from './errors.ts'
import { type CronEntries, parseCronEntries } from './schedule/options.ts'

/** Which finished jobs are kept: all, none, those with an unhandled error, or those for which a function returns true. */
export type PreserveJobRecords =
  | boolean
  | 'on_unhandled_error'
  | ((job: unknown, error: unknown, errorEvent: number | null) => unknown)

/** Options of a worker and of an adapter, with GoodJob's names and units. An explicit value wins over the environment, then the default. */
export interface Options {
  /** Postgres URL; a Unix socket is `socket:/dir?db=name` or `postgres://user@/db?host=/dir`. Environment: DATABASE_URL. */
  databaseUrl?: string
  /**
   * Postgres URL for the connections that need a session (claims with their locks, outcomes, LISTEN), if `databaseUrl` leads through a
   * pooler in transaction mode. Environment: GOOD_JOB_DIRECT_DATABASE_URL. @default databaseUrl
   */
  directDatabaseUrl?: string
  /** Queue string with GoodJob's grammar, e.g. `+urgent,low:2;-mice:4;*`. Environment: GOOD_JOB_QUEUES. @default '*' */
  queues?: string
  /** Jobs that run at the same time in a pool whose queue string names no number. Environment: GOOD_JOB_THREADS. @default 5 */
  threads?: number
  /** The older name of `threads`. Environment: GOOD_JOB_MAX_THREADS, then RAILS_MAX_THREADS. */
  maxThreads?: number
  /** Seconds between polls; 0 or less: only notifications wake the worker. Environment: GOOD_JOB_POLL_INTERVAL. @default 10 */
  pollInterval?: number
  /** Seconds to wait for running jobs at shutdown; -1 waits without limit, 0 aborts at once. Environment: GOOD_JOB_SHUTDOWN_TIMEOUT. @default -1 */
  shutdownTimeout?: number
  /** Seconds without work after which a worker process exits; absent: never. Environment: GOOD_JOB_IDLE_TIMEOUT. */
  idleTimeout?: number
  /** Maximum number of candidate rows that one claim reads. Environment: GOOD_JOB_QUEUE_SELECT_LIMIT. @default 1000 */
  queueSelectLimit?: number
  /** Send and receive NOTIFY. Environment: GOOD_JOB_ENABLE_LISTEN_NOTIFY. @default true */
  enableListenNotify?: boolean
  /** Do not start jobs whose queue, class or label is paused. Environment: GOOD_JOB_ENABLE_PAUSES. @default false */
  enablePauses?: boolean
  /** Order of jobs with the same priority. @default 'created_at' */
  dequeueQuerySort?: 'created_at' | 'scheduled_at'
  /** Keep finished jobs: true, false, 'on_unhandled_error', or a function of (job, error, errorEvent). Environment: GOOD_JOB_PRESERVE_JOB_RECORDS. @default true */
  preserveJobRecords?: PreserveJobRecords
  /** Run a job again at once when its error was not handled. Environment: GOOD_JOB_RETRY_ON_UNHANDLED_ERROR. @default false */
  retryOnUnhandledError?: boolean
  /** Let the cleanup delete discarded jobs and batches too. Environment: GOOD_JOB_CLEANUP_DISCARDED_JOBS. @default true */
  cleanupDiscardedJobs?: boolean
  /** Age in seconds at which finished records are deleted. Environment: GOOD_JOB_CLEANUP_PRESERVED_JOBS_BEFORE_SECONDS_AGO. @default 1209600 (14 days) */
  cleanupPreservedJobsBeforeSecondsAgo?: number
  /** Number of finished jobs after which a pool cleans up; -1: after each job, 0: never. Environment: GOOD_JOB_CLEANUP_INTERVAL_JOBS. @default 1000 */
  cleanupIntervalJobs?: number
  /** Seconds after which a pool cleans up; -1: after each job, 0: never. Environment: GOOD_JOB_CLEANUP_INTERVAL_SECONDS. @default 600 */
  cleanupIntervalSeconds?: number
  /** Postgres sessions that claim jobs and hold their advisory locks. Environment: GOOD_JOB_LANES. @default 1 */
  lanes?: number
  /** Milliseconds for which a job's start may stay unwritten, so that its start and end are one write; 0: off. Environment: GOOD_JOB_DEFER_START. @default 0 */
  deferStart?: number
  /** Seconds between batch sweeps, which finish the steps that Ruby left undone; 0 or less: off. Environment: GOOD_JOB_BATCH_SWEEP_INTERVAL. @default 60 */
  batchSweepInterval?: number
  /** Maximum age in seconds of the batches that a sweep checks. Environment: GOOD_JOB_BATCH_SWEEP_WINDOW. @default 2592000 (30 days) */
  batchSweepWindow?: number
  /** Seconds without a change in a batch before the sweep completes it in Ruby's place. Environment: GOOD_JOB_BATCH_SWEEP_GRACE. @default 30 */
  batchSweepGrace?: number
  /** Fire on_finish again when a discarded batch recovers, as Ruby's Batch#retry does. Environment: GOOD_JOB_REFIRE_FINISH. @default false */
  refireFinish?: boolean
  /** Version of the Rails application that shares the tables; decides details of the wire format. Environment: GOOD_JOB_RAILS_VERSION. @default '7.2' */
  railsVersion?: '6.1' | '7.0' | '7.1' | '7.2' | '8.0' | '8.1' | 'main'
  /** App name in the GlobalIDs of batch callbacks. Environment: GOOD_JOB_GLOBALID_APP. @default 'good-job-node' */
  globalidApp?: string
  /** Seconds for which `start` waits for Postgres. Environment: GOOD_JOB_CONNECT_TIMEOUT. @default 30 */
  connectTimeout?: number
  /**
   * Concurrency rules for labels or keys whatever the class of the job, such as those of Ruby classes that share a limit with classes of
   * this worker. Environment, as JSON: GOOD_JOB_CONCURRENCY. @default []
   */
  concurrency?: readonly WorkerConcurrencyRule[]
  /** Jobs that are enqueued on a schedule, by their keys. Environment, as JSON: GOOD_JOB_CRON. @default {} */
  cron?: CronEntries
  /** Enqueue the jobs of `cron` in this process. Environment: GOOD_JOB_ENABLE_CRON. @default false */
  enableCron?: boolean
  /**
   * Time zone of schedules that name none, as an IANA or Rails name: Rails' `config.time_zone`. Environment: GOOD_JOB_CRON_ZONE. @default
   * TZ, otherwise UTC
   */
  cronZone?: string
  /**
   * Seconds before the start for which missed occurrences of `cron` are enqueued; 0 or less: none. Environment:
   * GOOD_JOB_CRON_GRACEFUL_RESTART_PERIOD. @default 0
   */
  cronGracefulRestartPeriod?: number
  /** Connections in the pool for enqueueing and administration. Environment: GOOD_JOB_POOL_SIZE. @default 5 */
  poolSize?: number
}

type Resolved<T> = { readonly [K in keyof T]-?: Exclude<T[K], undefined> }
type Optional = 'databaseUrl' | 'directDatabaseUrl' | 'idleTimeout' | 'maxThreads' | 'cronZone'

/** Resolved options: every default is filled in. */
export type Configuration = Resolved<Omit<Options, Optional>> & {
  readonly databaseUrl: string | undefined
  readonly directDatabaseUrl: string | undefined
  readonly idleTimeout: number | undefined
  readonly cronZone: string | undefined
}

/** The options that are times, in milliseconds; what 0 and less mean stays the option's own matter. */
export interface Durations {
  readonly pollMs: number
  /** Infinity: without limit. */
  readonly shutdownTimeoutMs: number
  readonly idleTimeoutMs: number | undefined
  readonly connectTimeoutMs: number
  readonly cleanupIntervalMs: number
  readonly batchSweepIntervalMs: number
  readonly batchSweepWindowMs: number
  readonly batchSweepGraceMs: number
  readonly cronGracefulRestartMs: number
}

type Parse = (value: unknown, name: string) => unknown

const number =
  (accepts: (value: number) => boolean, expected: string): Parse =>
  (value, name) => {
    const parsed = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    if (typeof parsed === 'number' && Number.isFinite(parsed) && accepts(parsed)) return parsed
    throw new ConfigurationError(`${name}: expected ${expected}, got ${JSON.stringify(value)}`)
  }
const anyNumber = number(() => true, 'a number')
const positiveInteger = number((value) => Number.isInteger(value) && value > 0, 'a whole number of at least 1')
const notNegative = number((value) => value >= 0, 'a number of at least 0')
const integer = number(Number.isInteger, 'a whole number')

const boolean: Parse = (value, name) => {
  const parsed = typeof value === 'string' ? parseBoolean(value) : value
  if (typeof parsed === 'boolean') return parsed
  throw new ConfigurationError(`${name}: expected true or false, got ${JSON.stringify(value)}`)
}
const text: Parse = (value, name) => {
  if (typeof value === 'string') return value
  throw new ConfigurationError(`${name}: expected text, got ${JSON.stringify(value)}`)
}
const oneOf =
  (...words: string[]): Parse =>
  (value, name) => {
    if (typeof value === 'string' && words.includes(value)) return value
    const hint = typeof value === 'string' ? nearest(value, words) : undefined
    throw new ConfigurationError(
      `${name}: expected ${words.join(', ')}, got ${JSON.stringify(value)}${hint ? `; did you mean ${hint}?` : ''}`,
    )
  }
const preserve: Parse = (value, name) => {
  if (typeof value === 'function' || value === 'on_unhandled_error') return value
  return boolean(value, name)
}

interface OptionRule {
  readonly env: readonly string[]
  readonly parse: Parse
  readonly fallback?: unknown
}

/** One line per option: its environment variables in order of precedence, its check, its default. */
export const OPTION_RULES: { readonly [K in keyof Required<Options>]: OptionRule } = {
  databaseUrl: { env: ['DATABASE_URL'], parse: text },
  directDatabaseUrl: { env: ['GOOD_JOB_DIRECT_DATABASE_URL'], parse: text },
  queues: { env: ['GOOD_JOB_QUEUES'], parse: text, fallback: '*' },
  threads: { env: ['GOOD_JOB_THREADS'], parse: positiveInteger },
  maxThreads: { env: ['GOOD_JOB_MAX_THREADS', 'RAILS_MAX_THREADS'], parse: positiveInteger },
  pollInterval: { env: ['GOOD_JOB_POLL_INTERVAL'], parse: anyNumber, fallback: 10 },
  shutdownTimeout: { env: ['GOOD_JOB_SHUTDOWN_TIMEOUT'], parse: anyNumber, fallback: -1 },
  idleTimeout: { env: ['GOOD_JOB_IDLE_TIMEOUT'], parse: notNegative },
  queueSelectLimit: { env: ['GOOD_JOB_QUEUE_SELECT_LIMIT'], parse: positiveInteger, fallback: 1000 },
  enableListenNotify: { env: ['GOOD_JOB_ENABLE_LISTEN_NOTIFY'], parse: boolean, fallback: true },
  enablePauses: { env: ['GOOD_JOB_ENABLE_PAUSES'], parse: boolean, fallback: false },
  dequeueQuerySort: {
    env: ['GOOD_JOB_DEQUEUE_QUERY_SORT'],
    parse: oneOf('created_at', 'scheduled_at'),
    fallback: 'created_at',
  },
  preserveJobRecords: { env: ['GOOD_JOB_PRESERVE_JOB_RECORDS'], parse: preserve, fallback: true },
  retryOnUnhandledError: { env: ['GOOD_JOB_RETRY_ON_UNHANDLED_ERROR'], parse: boolean, fallback: false },
  cleanupDiscardedJobs: { env: ['GOOD_JOB_CLEANUP_DISCARDED_JOBS'], parse: boolean, fallback: true },
  cleanupPreservedJobsBeforeSecondsAgo: {
    env: ['GOOD_JOB_CLEANUP_PRESERVED_JOBS_BEFORE_SECONDS_AGO'],
    parse: notNegative,
    fallback: 1_209_600,
  },
  cleanupIntervalJobs: { env: ['GOOD_JOB_CLEANUP_INTERVAL_JOBS'], parse: integer, fallback: 1000 },
  cleanupIntervalSeconds: { env: ['GOOD_JOB_CLEANUP_INTERVAL_SECONDS'], parse: anyNumber, fallback: 600 },
  deferStart: { env: ['GOOD_JOB_DEFER_START'], parse: notNegative, fallback: 0 },
  lanes: { env: ['GOOD_JOB_LANES'], parse: positiveInteger, fallback: 1 },
  batchSweepInterval: { env: ['GOOD_JOB_BATCH_SWEEP_INTERVAL'], parse: anyNumber, fallback: 60 },
  batchSweepWindow: { env: ['GOOD_JOB_BATCH_SWEEP_WINDOW'], parse: notNegative, fallback: 2_592_000 },
  batchSweepGrace: { env: ['GOOD_JOB_BATCH_SWEEP_GRACE'], parse: notNegative, fallback: 30 },
  refireFinish: { env: ['GOOD_JOB_REFIRE_FINISH'], parse: boolean, fallback: false },
  railsVersion: {
    env: ['GOOD_JOB_RAILS_VERSION'],
    parse: oneOf('6.1', '7.0', '7.1', '7.2', '8.0', '8.1', 'main'),
    fallback: '7.2',
  },
  globalidApp: { env: ['GOOD_JOB_GLOBALID_APP'], parse: text, fallback: 'good-job-node' },
  connectTimeout: { env: ['GOOD_JOB_CONNECT_TIMEOUT'], parse: notNegative, fallback: 30 },
  concurrency: { env: ['GOOD_JOB_CONCURRENCY'], parse: parseConcurrency, fallback: [] },
  cron: { env: ['GOOD_JOB_CRON'], parse: parseCronEntries, fallback: {} },
  enableCron: { env: ['GOOD_JOB_ENABLE_CRON'], parse: boolean, fallback: false },
  cronZone: { env: ['GOOD_JOB_CRON_ZONE'], parse: text },
  cronGracefulRestartPeriod: { env: ['GOOD_JOB_CRON_GRACEFUL_RESTART_PERIOD'], parse: anyNumber, fallback: 0 },
  poolSize: { env: ['GOOD_JOB_POOL_SIZE'], parse: positiveInteger, fallback: 5 },
}

type Environment = Readonly<Record<string, string | undefined>>

const fromEnvironment = (rule: OptionRule, env: Environment): unknown => {
  for (const name of rule.env) {
    const value = env[name]
    if (value !== undefined && value.trim() !== '') return rule.parse(value.trim(), name)
  }
  return undefined
}

/** Names that other libraries use for these options. */
const SYNONYMS: Readonly<Record<string, keyof Options>> = {
  connectionstring: 'databaseUrl',
  connectionurl: 'databaseUrl',
  connection: 'databaseUrl',
  database: 'databaseUrl',
  db: 'databaseUrl',
  url: 'databaseUrl',
  uri: 'databaseUrl',
  workers: 'threads',
  teamsize: 'threads',
  maxconcurrency: 'threads',
}

const refuseUnknown = (options: object): void => {
  for (const key of Object.keys(options)) {
    if (Object.hasOwn(OPTION_RULES, key)) continue
    const hint = SYNONYMS[key.toLowerCase().replaceAll('_', '')] ?? nearest(key, Object.keys(OPTION_RULES))
    throw new ConfigurationError(`unknown option ${key}${hint ? `; did you mean ${hint}?` : ''}`)
  }
}

/**
 * Resolves options: explicit values win over the environment, the environment over the defaults. The result is checked and frozen.
 * @throws ConfigurationError for an unknown option or a value that cannot be used.
 */
export const resolveConfiguration = (options: Options = {}, env: Environment = process.env): Configuration => {
  refuseUnknown(options)
  warnOfMisspelt(
    env,
    Object.values(OPTION_RULES).flatMap((rule) => rule.env),
  )
  const resolved: Record<string, unknown> = {}
  for (const [key, rule] of Object.entries(OPTION_RULES)) {
    const explicit = options[key as keyof Options]
    resolved[key] = explicit === undefined ? fromEnvironment(rule, env) : rule.parse(explicit, key)
  }
  // GoodJob 4.22 configuration.rb: every form of `threads` comes before every form of `max_threads`.
  resolved.threads = resolved.threads ?? resolved.maxThreads ?? 5
  for (const [key, rule] of Object.entries(OPTION_RULES)) resolved[key] ??= rule.fallback
  delete resolved.maxThreads
  return Object.freeze(resolved) as unknown as Configuration
}

const ms = (seconds: number): number => seconds * 1000

/** A timeout in seconds as milliseconds. Without limit if negative, or if null because the caller does not wait. */
export const limitMs = (timeout: number | null): number =>
  timeout === null || timeout < 0 ? Number.POSITIVE_INFINITY : ms(timeout)

/** The one place where options in seconds become milliseconds. */
export const durationsOf = (configuration: Configuration): Durations =>
  Object.freeze({
    pollMs: ms(configuration.pollInterval),
    shutdownTimeoutMs: limitMs(configuration.shutdownTimeout),
    idleTimeoutMs: configuration.idleTimeout === undefined ? undefined : ms(configuration.idleTimeout),
    connectTimeoutMs: ms(configuration.connectTimeout),
    cleanupIntervalMs: ms(configuration.cleanupIntervalSeconds),
    batchSweepIntervalMs: ms(configuration.batchSweepInterval),
    batchSweepWindowMs: ms(configuration.batchSweepWindow),
    batchSweepGraceMs: ms(configuration.batchSweepGrace),
    cronGracefulRestartMs: ms(configuration.cronGracefulRestartPeriod),
  })
