import { describe, expect, test } from 'vitest'
import { durationsOf, limitMs, OPTION_RULES, type Options, resolveConfiguration } from '../src/configuration.ts'
import { ConfigurationError } from '../src/errors.ts'

const resolve = (options: object, env: Record<string, string> = {}) => resolveConfiguration(options as Options, env)

test('an explicit option beats the environment, which beats the default [GJ-087]', () => {
  expect(resolve({}).queues).toBe('*')
  expect(resolve({}, { GOOD_JOB_QUEUES: 'a' }).queues).toBe('a')
  expect(resolve({ queues: 'b' }, { GOOD_JOB_QUEUES: 'a' }).queues).toBe('b')
  expect(resolve({ queues: undefined }, { GOOD_JOB_QUEUES: 'a' }).queues).toBe('a')
})

test.each<[object, Record<string, string>, number]>([
  [{}, {}, 5],
  [{}, { RAILS_MAX_THREADS: '3' }, 3],
  [{}, { RAILS_MAX_THREADS: '3', GOOD_JOB_MAX_THREADS: '4' }, 4],
  [{ maxThreads: 6 }, { GOOD_JOB_MAX_THREADS: '4' }, 6],
  [{ maxThreads: 6 }, { GOOD_JOB_THREADS: '7' }, 7],
  [{ maxThreads: 6, threads: 8 }, { GOOD_JOB_THREADS: '7' }, 8],
])('threads of %j and %j are %d [GJ-087, GJ-111]', (options, env, expected) => {
  expect(resolve(options, env).threads).toBe(expected)
})

test.each<[string, keyof Options, string, unknown]>([
  ['GOOD_JOB_POLL_INTERVAL', 'pollInterval', '-1', -1],
  ['GOOD_JOB_POLL_INTERVAL', 'pollInterval', '2.5', 2.5],
  ['GOOD_JOB_SHUTDOWN_TIMEOUT', 'shutdownTimeout', '25', 25],
  ['GOOD_JOB_IDLE_TIMEOUT', 'idleTimeout', '60', 60],
  ['GOOD_JOB_QUEUE_SELECT_LIMIT', 'queueSelectLimit', '50', 50],
  ['GOOD_JOB_CLEANUP_INTERVAL_JOBS', 'cleanupIntervalJobs', '-1', -1],
  ['GOOD_JOB_CLEANUP_INTERVAL_SECONDS', 'cleanupIntervalSeconds', '0', 0],
  ['GOOD_JOB_CLEANUP_PRESERVED_JOBS_BEFORE_SECONDS_AGO', 'cleanupPreservedJobsBeforeSecondsAgo', '10', 10],
  ['DATABASE_URL', 'databaseUrl', 'postgres://a/b', 'postgres://a/b'],
])('%s sets %s: %j is %j [GJ-087]', (name, option, text, expected) => {
  expect(resolve({}, { [name]: text })).toHaveProperty(option, expected)
})

test.each<[string, boolean]>([
  ['0', false],
  ['f', false],
  ['F', false],
  ['false', false],
  ['FALSE', false],
  ['off', false],
  ['OFF', false],
  ['1', true],
  ['true', true],
  ['no', true],
])('the switch %j in the environment is %s, as Active Model casts it [GJ-087]', (text, expected) => {
  expect(resolve({}, { GOOD_JOB_ENABLE_LISTEN_NOTIFY: text }).enableListenNotify).toBe(expected)
  expect(resolve({}, { GOOD_JOB_CLEANUP_DISCARDED_JOBS: text }).cleanupDiscardedJobs).toBe(expected)
})

test('an empty variable counts as not set [GJ-087]', () => {
  expect(resolve({}, { GOOD_JOB_ENABLE_LISTEN_NOTIFY: '', GOOD_JOB_POLL_INTERVAL: ' ' })).toMatchObject({
    enableListenNotify: true,
    pollInterval: 10,
  })
})

describe('a refusal', () => {
  test.each<[object, Record<string, string>, string]>([
    [{ queue: 'a' }, {}, 'unknown option queue; did you mean queues?'],
    [{ poll_interval: 1 }, {}, 'unknown option poll_interval; did you mean pollInterval?'],
    [{ zzzzzzzzz: 1 }, {}, 'unknown option zzzzzzzzz'],
    [{ threads: 0 }, {}, 'threads: expected a whole number of at least 1, got 0'],
    [{ threads: '4x' }, {}, 'threads: expected a whole number of at least 1, got "4x"'],
    [{ pollInterval: 'soon' }, {}, 'pollInterval: expected a number, got "soon"'],
    [{}, { GOOD_JOB_THREADS: 'many' }, 'GOOD_JOB_THREADS: expected a whole number of at least 1, got "many"'],
    [{ enableListenNotify: 1 }, {}, 'enableListenNotify: expected true or false, got 1'],
    [{ dequeueQuerySort: 'scheduled' }, {}, 'did you mean scheduled_at?'],
    [{ preserveJobRecords: 3 }, {}, 'preserveJobRecords: expected true or false, got 3'],
  ])('of %j with %j says what, the value and the way out', (options, env, message) => {
    expect(() => resolve(options, env)).toThrow(ConfigurationError)
    expect(() => resolve(options, env)).toThrow(message)
  })
})

test('a resolved configuration is frozen and has a value for every option with a default', () => {
  const configuration = resolve({})
  expect(Object.isFrozen(configuration)).toBe(true)
  for (const [name, { fallback }] of Object.entries(OPTION_RULES)) {
    if (fallback !== undefined) expect(configuration).toHaveProperty(name, fallback)
  }
})

test('options in seconds become milliseconds once, in a frozen object', () => {
  const options = { pollInterval: 2.5, shutdownTimeout: 25, idleTimeout: 60, connectTimeout: 0, batchSweepInterval: -1 }
  const durations = durationsOf(
    resolve({
      ...options,
      cleanupIntervalSeconds: 7,
      batchSweepWindow: 8,
      batchSweepGrace: 9,
      cronGracefulRestartPeriod: 10,
    }),
  )
  expect(durations).toEqual({
    pollMs: 2_500,
    shutdownTimeoutMs: 25_000,
    idleTimeoutMs: 60_000,
    connectTimeoutMs: 0,
    cleanupIntervalMs: 7_000,
    batchSweepIntervalMs: -1_000,
    batchSweepWindowMs: 8_000,
    batchSweepGraceMs: 9_000,
    cronGracefulRestartMs: 10_000,
  })
  expect(Object.isFrozen(durations)).toBe(true)
})

test('an idle timeout that is absent stays absent, and a negative shutdown timeout is no limit', () => {
  const { idleTimeoutMs, shutdownTimeoutMs } = durationsOf(resolve({}))
  expect(idleTimeoutMs).toBeUndefined()
  expect(shutdownTimeoutMs).toBe(Number.POSITIVE_INFINITY)
  expect([limitMs(null), limitMs(-0.5), limitMs(0), limitMs(1.5)]).toEqual([
    Number.POSITIVE_INFINITY,
    Number.POSITIVE_INFINITY,
    0,
    1_500,
  ])
})

test('preserveJobRecords takes true, false, the word and a function', () => {
  const decide = () => true
  for (const value of [true, false, 'on_unhandled_error', decide]) {
    expect(resolve({ preserveJobRecords: value }).preserveJobRecords).toBe(value)
  }
  expect(resolve({}, { GOOD_JOB_PRESERVE_JOB_RECORDS: 'on_unhandled_error' }).preserveJobRecords).toBe(
    'on_unhandled_error',
  )
})
