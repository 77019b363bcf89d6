import { describe, expect, test } from 'vitest'
import type { PublishedRule } from '../../src/job/concurrency/published.ts'
import { explainJob } from '../../src/maintenance/why/explain.ts'
import type { JobReason } from '../../src/maintenance/why/reasons.ts'
import {
  ABANDONED,
  at,
  type Changes,
  CLASSLESS,
  DEAD_OWNER,
  DISCARDED,
  explain,
  FINISHED,
  FULL,
  HELD,
  JOB_ID,
  LIMITED,
  NO_WORKER,
  NODE,
  OWNED,
  OWNER,
  OWNER_ID,
  PAUSED,
  RETRIED,
  RUBY,
  RUNNING,
  SCHEDULED,
  THROTTLED,
  UNSERVED,
} from './job-facts.ts'

const PROCESS = { id: OWNER_ID, hostname: 'web-1', pid: '7', state: 'alive', heardAt: new Date(at(-10)) } as const

const CASES: readonly (readonly [title: string, changes: Changes, reason: JobReason])[] = [
  ['succeeded', FINISHED, { reason: 'succeeded', finishedAt: new Date(at(-5)), attempts: 2 }],
  [
    'discarded, as its attempt failed',
    DISCARDED,
    { reason: 'discarded', finishedAt: new Date(at(-5)), attempts: 2, error: 'TypeError: no', by: 'attempt' },
  ],
  [
    'discarded by a person',
    { job: { ...FINISHED.job, error: 'GoodJob::Job::DiscardJobError: Wrong tenant' } },
    {
      reason: 'discarded',
      finishedAt: new Date(at(-5)),
      attempts: 2,
      error: 'GoodJob::Job::DiscardJobError: Wrong tenant',
      by: 'person',
    },
  ],
  ['running', RUNNING, { reason: 'running', process: PROCESS, startedAt: new Date(at(-20)), attempt: 2 }],
  [
    'running, although its start was not counted',
    { ...RUNNING, job: { ...RUNNING.job, executions_count: null } },
    { reason: 'running', process: PROCESS, startedAt: new Date(at(-20)), attempt: 1 },
  ],
  ['claimed and not started', OWNED, { reason: 'running', process: PROCESS, startedAt: null, attempt: 1 }],
  [
    'running in a silent process',
    { ...RUNNING, owner: { ...OWNER, is_silent: true } },
    { reason: 'running', process: { ...PROCESS, state: 'silent' }, startedAt: new Date(at(-20)), attempt: 2 },
  ],
  [
    'running without a process row',
    { job: { ...RUNNING.job, ...HELD.job } },
    {
      reason: 'running',
      process: { id: OWNER_ID, hostname: null, pid: null, state: 'no_row', heardAt: null },
      startedAt: new Date(at(-20)),
      attempt: 2,
    },
  ],
  [
    'held by a session',
    HELD,
    {
      reason: 'advisory_locked',
      session: { pid: 42, applicationName: 'psql', clientAddress: null, connectedAt: new Date(at(-90)) },
    },
  ],
  [
    'claimed by a dead process',
    DEAD_OWNER,
    {
      reason: 'claimed_by_dead_process',
      process: { ...PROCESS, state: 'dead', heardAt: new Date(at(-400)) },
      hasLiveWorker: true,
    },
  ],
  ['scheduled', SCHEDULED, { reason: 'scheduled', at: new Date(at(60)) }],
  ['waiting for a retry', RETRIED, { reason: 'retried', at: new Date(at(60)), attempt: 2, error: 'TypeError: no' }],
  ['without a worker', NO_WORKER, { reason: 'no_worker' }],
  ['with dead workers only', { processes: [{ ...NODE, is_alive: false }] }, { reason: 'no_worker' }],
  ['in a queue that no live worker serves', UNSERVED, { reason: 'queue_unserved', queue: 'mail', pools: ['other'] }],
  [
    'of a class that no live worker has',
    CLASSLESS,
    { reason: 'class_unknown', queue: 'mail', jobClass: 'MailJob', workers: [{ hostname: 'web-1', pid: '7' }] },
  ],
  [
    'waiting for a place',
    FULL,
    {
      reason: 'concurrency_full',
      key: 'key:one',
      limit: 1,
      running: 1,
      holders: [
        {
          jobId: '00000000-0000-4000-8000-0000000000d2',
          startedAt: new Date(at(-20)),
          process: { hostname: 'web-1', pid: '7' },
        },
      ],
    },
  ],
  [
    'waiting for a place beside a process without a row',
    { ...FULL, processes: FULL.processes.map((process) => ({ ...process, id: JOB_ID })) },
    {
      reason: 'concurrency_full',
      key: 'key:one',
      limit: 1,
      running: 1,
      holders: [{ jobId: '00000000-0000-4000-8000-0000000000d2', startedAt: new Date(at(-20)), process: null }],
    },
  ],
  [
    'waiting for a throttle',
    THROTTLED,
    { reason: 'concurrency_throttled', key: 'key:one', count: 2, seconds: 60, until: new Date(at(40)) },
  ],
  [
    'refused by a concurrency rule',
    LIMITED,
    { reason: 'concurrency_limited', keys: ['key:tenant'], since: new Date(at(-30)) },
  ],
]

const DUE = {
  reason: 'due',
  since: new Date(at(-60)),
  queue: 'mail',
  jobClass: 'MailJob',
  jobsBefore: 3,
  isCapped: false,
  isInterrupted: false,
  mayLackClass: false,
} as const

describe('a job is', () => {
  test.each(CASES)('%s', (_, changes, reason) => {
    expect(explain(changes)).toEqual({ ...reason, jobId: JOB_ID, clockAheadSeconds: null, ignoredPause: null })
  })

  test('missing without facts', () => {
    expect(explainJob(JOB_ID, undefined)).toMatchObject({ reason: 'missing', jobId: JOB_ID })
  })

  test('due if no other reason applies, also for a restart', () => {
    expect(explain()).toMatchObject(DUE)
    expect(explain({ before: { jobs: 10_000, is_capped: true } })).toMatchObject({ jobsBefore: 10_000, isCapped: true })
    expect(explain({ job: { performed_at: at(-40) } })).toMatchObject({ reason: 'due', isInterrupted: true })
    expect(explain({ job: { scheduled_at: null, created_at: at(-9) } })).toMatchObject({ since: new Date(at(-9)) })
  })

  test('due, even if only Ruby workers serve its queue, which do not publish their classes', () => {
    expect(explain({ processes: [RUBY] })).toMatchObject({ reason: 'due', mayLackClass: true })
    expect(explain({ processes: [RUBY, NODE] })).toMatchObject({ mayLackClass: false })
    expect(explain(CLASSLESS, { processes: [...CLASSLESS.processes, RUBY] })).toMatchObject({ mayLackClass: true })
  })

  test('due if a rule has a free place, is not published, or would count a label that no worker has counted', () => {
    const [worker] = FULL.processes
    const [rule] = worker.concurrency_rules
    const explainWith = (changes: Partial<PublishedRule>, more: Changes = {}) =>
      explain(FULL, { processes: [{ ...worker, concurrency_rules: [{ ...rule, ...changes }] }] }, more).reason
    expect(explainWith({})).toBe('concurrency_full')
    expect(explainWith({ limit: 2 })).toBe('due')
    expect(explainWith({ limit: 'computed' })).toBe('due')
    expect(explainWith({ job_class: 'OtherJob' })).toBe('due')
    expect(explain(FULL, { processes: [{ ...worker, concurrency_rules: null }] }).reason).toBe('due')
    expect(explain(THROTTLED, { counts: { ...THROTTLED.counts, throttles: [] } }).reason).toBe('due')
    const labelled = { job: { labels: ['api'] }, counts: { ...FULL.counts, running: new Map([['label:api', 1]]) } }
    expect(explainWith({ counts: 'label', value: 'api' }, labelled)).toBe('concurrency_full')
    expect(explainWith({ counts: 'label', value: null }, labelled)).toBe('due')
    const claimed = { ...labelled, counts: { ...labelled.counts, claimed: new Set(['label:api']) } }
    expect(explainWith({ counts: 'label', value: null }, claimed)).toBe('concurrency_full')
  })

  test('due at a time beyond the range of Date', () => {
    expect(explain({ job: { scheduled_at: '-infinity' } })).toMatchObject({ reason: 'due' })
    expect(explain({ job: { scheduled_at: 'infinity' } })).toMatchObject({ reason: 'scheduled' })
  })
})

describe('an abandoned job is released', () => {
  const SKIPLOCKED = { job: { ...ABANDONED.job, lock_type: 1 } }

  test.each<[string, Changes, object]>([
    ['by a Node worker within two minutes', ABANDONED, { lockType: null, releasedWithinMinutes: 2 }],
    [
      'in two minutes on hybrid',
      { job: { ...ABANDONED.job, lock_type: 2 } },
      { lockType: 'hybrid', releasedWithinMinutes: 2 },
    ],
    ['in seven minutes on skiplocked', SKIPLOCKED, { lockType: 'skiplocked', releasedWithinMinutes: 7 }],
    [
      'in seven minutes without a time',
      { job: { ...ABANDONED.job, locked_at: null } },
      { lockedAt: null, releasedWithinMinutes: 7 },
    ],
    ['by a person only, without a Node worker', { ...ABANDONED, processes: [RUBY] }, { releasedWithinMinutes: null }],
    [
      'by a person only, as its process may live under another id',
      { job: { ...SKIPLOCKED.job, has_renamed: true } },
      { releasedWithinMinutes: null, ownerMayLive: true },
    ],
    [
      'by a worker if its lock strategy shows whether its owner lives, even if the owner may have changed its id',
      { job: { ...ABANDONED.job, lock_type: 0, has_renamed: true } },
      { lockType: 'advisory', releasedWithinMinutes: 2, ownerMayLive: false },
    ],
  ])('%s', (_, changes, reason) => {
    expect(explain(changes)).toMatchObject({ reason: 'abandoned', ownerId: OWNER_ID, ...reason })
  })
})

describe('a pause', () => {
  const workers = { honouring: 1, ignoring: 0, unknown: 0 }

  test.each<[string, Changes, object]>([
    ['of its queue', PAUSED, { by: 'queue', name: 'mail' }],
    [
      'of its class',
      { pauses: { queues: ['x'], jobClasses: ['MailJob'], labels: [] } },
      { by: 'class', name: 'MailJob' },
    ],
    [
      'of a label',
      { job: { labels: ['a', 'b'] }, pauses: { queues: [], jobClasses: [], labels: ['b'] } },
      { by: 'label', name: 'b' },
    ],
    [
      'of any queue, for a job without one',
      {
        job: { queue_name: null },
        pauses: { queues: ['x'], jobClasses: [], labels: [] },
        processes: [{ ...NODE, pools: ['*'] }],
      },
      { by: 'queue', name: 'x' },
    ],
  ])('%s keeps a job', (_, changes, pause) => {
    expect(explain(changes)).toMatchObject({ reason: 'paused', pause, workers })
  })

  test('of another queue, class or label does not pause the job', () => {
    expect(explain({ pauses: { queues: ['x'], jobClasses: ['X'], labels: ['x'] } })).toMatchObject(DUE)
  })

  test('counts the live workers of the job that honour it and those that ignore it', () => {
    const ignoring = { ...NODE, honours_pauses: false }
    const other = { ...NODE, pools: ['other'] }
    expect(explain(PAUSED, { processes: [NODE, ignoring, RUBY, other, { ...NODE, is_alive: false }] })).toMatchObject({
      reason: 'paused',
      workers: { honouring: 1, ignoring: 1, unknown: 1 },
      ignoredPause: null,
    })
  })

  test('that no live worker of the job honours is not the reason, but is listed', () => {
    const ignoring = { processes: [{ ...NODE, honours_pauses: false }] }
    const ignoredPause = { by: 'queue', name: 'mail' }
    expect(explain(PAUSED, ignoring)).toMatchObject({ ...DUE, ignoredPause })
    expect(explain(PAUSED, ignoring, SCHEDULED)).toMatchObject({ reason: 'scheduled', ignoredPause })
    expect(explain(PAUSED, ignoring, FINISHED)).toMatchObject({ reason: 'succeeded', ignoredPause: null })
  })
})

test.each([
  [2_999, null],
  [42_000, 42],
  [-3_600_400, -3600],
])('a clock that is %i ms ahead of the server is named as %s', (clockAheadMs, clockAheadSeconds) => {
  expect(explain({ clockAheadMs }).clockAheadSeconds).toBe(clockAheadSeconds)
})
