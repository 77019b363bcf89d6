import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Job, type JobConstructor } from '../../src/job/base.ts'
import type { ConcurrencyOptions, ConcurrencyRuleOptions } from '../../src/job/concurrency/rules.ts'
import { performAllLater } from '../../src/job/enqueuing.ts'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import { ago, enqueue, openWorld, paramsOf, performed, type Row } from '../support/harness.ts'
import { vectors } from '../support/vectors.ts'

interface VectorRow {
  readonly id: string
  readonly job_class: string
  readonly queue: string
  readonly concurrency_key: string | null
  readonly labels: readonly string[] | null
  readonly scheduled_in_s: number
  readonly created_ago_s: number
  readonly performed: boolean
  readonly finished: boolean
  readonly executions_count: number | null
  readonly locked_by: string | null
  readonly executions: number
}

interface Scenario {
  readonly id: string
  readonly name: string
  readonly rules: {
    readonly labels?: readonly string[]
    readonly legacy?: Readonly<Record<string, unknown>>
    readonly rules?: readonly Readonly<Record<string, unknown>>[]
  }
  readonly before: { readonly jobs: readonly VectorRow[] }
  readonly result: { readonly returned?: 'job' | false; readonly raised?: string }
  readonly after: { readonly jobs: readonly VectorRow[] }
}

const { scenarios } = vectors<{ readonly scenarios: readonly Scenario[] }>('concurrency.json')
const enqueues = scenarios.filter(({ id }) => id.startsWith('E'))

/** What stands in the vectors as "callable", and constants that Node refuses at the declaration: here functions return them. */
const FUNCTIONS: Readonly<Record<string, unknown>> = {
  E13: () => -1,
  E16: () => ' ',
  E17: (job: Job) => `user-${(job.arguments[0] as { id: number }).id}`,
  E19: () => ['a'],
  E25: () => '  ',
  E30: (job: Job) => `u${(job.arguments[0] as { user: number }).user}`,
  E32: () => 1,
}
const ARGUMENTS: Readonly<Record<string, unknown>> = { E17: { id: 7 }, E30: { user: 3 } }

/** Where Node stores another row than Ruby on purpose. */
const DIFFERENCES: Readonly<Record<string, Partial<VectorRow>>> = {
  // Ruby writes the name of every class that includes the extension; a Node class has to declare something.
  E01: { concurrency_key: null },
}

/** The place of the row whose advisory lock a worker holds; the vectors do not show locks. */
const ADVISORY_LOCKED: Readonly<Record<string, number>> = { E08: 0, E43: 1 }

const OPTIONS: Readonly<Record<string, string>> = {
  total_limit: 'totalLimit',
  enqueue_limit: 'enqueueLimit',
  perform_limit: 'performLimit',
  enqueue_throttle: 'enqueueThrottle',
  perform_throttle: 'performThrottle',
  apply_label: 'applyLabel',
}

const optionsOf = (id: string, declared: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(declared).map(([name, value]) => {
      const isReplaced = value === 'callable' || value === -1 || value === ' '
      return [OPTIONS[name] ?? name, isReplaced ? FUNCTIONS[id] : value]
    }),
  )

class VErr extends Error {
  static rubyName = 'VErr'
}

/** The class of a scenario: queue q, as in the vectors. */
const classOf = ({ id, rules }: Scenario): JobConstructor => {
  class VJob extends Job {
    static override queueAs = 'q'
    static override labels = rules.labels ?? []
    static {
      this.retryOn(VErr, { wait: 100, jitter: 0 })
    }
    perform() {
      throw new VErr('boom')
    }
  }
  if (rules.legacy) VJob.controlConcurrencyWith(optionsOf(id, rules.legacy) as ConcurrencyOptions)
  for (const rule of rules.rules ?? []) VJob.concurrencyRule(optionsOf(id, rule) as ConcurrencyRuleOptions)
  if (id === 'E31') {
    VJob.beforeEnqueue((job) => {
      job.labels = ['late']
    })
  }
  return VJob
}

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_batches, good_job_executions'))

const OTHER_PROCESS = '5f0fd5a4-8a58-4b7f-9a0c-6b5f36a6a111'

const insertBefore = (row: VectorRow, index = 0): Promise<string> =>
  world.insert({
    job_class: row.job_class,
    queue_name: row.queue,
    concurrency_key: row.concurrency_key,
    labels: row.labels,
    scheduled_at: ago(-row.scheduled_in_s),
    created_at: ago(row.created_ago_s - index / 10),
    performed_at: row.performed ? ago(5) : null,
    finished_at: row.finished ? ago(4) : null,
    executions_count: row.executions_count,
    locked_by_id: row.locked_by === null ? null : OTHER_PROCESS,
    locked_at: row.locked_by === null ? null : ago(5),
    serialized_params: JSON.stringify(
      paramsOf(row.job_class, '00000000-0000-4000-8000-000000000000', { executions: row.executions }),
    ),
  })

const secondsSince = (time: unknown): number => (Date.now() - (time as Date).getTime()) / 1000

/** The rows of good_jobs in the words of the vectors, the oldest first. */
const rowsNow = async () => {
  const rows = await world.sql('SELECT * FROM good_jobs ORDER BY created_at, id')
  return rows.map((row) => ({
    job_class: row.job_class,
    queue: row.queue_name,
    concurrency_key: row.concurrency_key,
    labels: row.labels,
    scheduled_in_s: -secondsSince(row.scheduled_at),
    created_ago_s: secondsSince(row.created_at),
    performed: row.performed_at !== null,
    finished: row.finished_at !== null,
    error: row.error,
    error_event: row.error_event,
    executions_count: row.executions_count,
    locked: row.locked_by_id !== null,
    batch: row.batch_id !== null,
    executions: (row.serialized_params as Row).executions,
    exception_executions: (row.serialized_params as Row).exception_executions,
  }))
}

/** Times of a snapshot may differ by this from those of the vectors; no scenario depends on a smaller difference. */
const SLOW_MACHINE_S = 30

const near = (seconds: number, expected: number): number =>
  Math.abs(seconds - expected) < SLOW_MACHINE_S ? expected : seconds

const expectAfter = async ({ id, after }: Scenario): Promise<void> => {
  const rows = await rowsNow()
  const expected = after.jobs.map(({ id: alias, locked_by, ...row }) => ({
    ...row,
    ...(alias.startsWith('new') ? DIFFERENCES[id] : {}),
    locked: locked_by !== null,
  }))
  const times = (row: (typeof rows)[number], index: number) => ({
    ...row,
    scheduled_in_s: near(row.scheduled_in_s, expected[index]?.scheduled_in_s ?? 0),
    created_ago_s: near(row.created_ago_s, expected[index]?.created_ago_s ?? 0),
  })
  expect(rows.map(times)).toEqual(expected)
}

const SPECIAL = new Set(['E39', 'E41', 'E45'])

test.each(
  enqueues.filter(({ id }) => !SPECIAL.has(id)).map((scenario) => [scenario.id, scenario.name, scenario] as const),
)('%s %s', async (id, _name, scenario) => {
  const ids = []
  for (const [index, row] of scenario.before.jobs.entries()) ids.push(await insertBefore(row, index))
  const session = await world.database.connect()
  const lockedRow = ids[ADVISORY_LOCKED[id] ?? -1]
  if (lockedRow !== undefined) await session.query('SELECT pg_advisory_lock($1)', [jobLockKey(lockedRow)])
  const configured = classOf(scenario).set(id === 'E30' ? { labels: ['x'] } : {})
  const args = (id in ARGUMENTS ? [ARGUMENTS[id]] : []) as never[]
  // The period of E42 is no Duration in Ruby; here it is a number of seconds.
  if (id === 'E42') {
    expect(await configured.performLater(...args)).toBeTruthy()
    expect(await configured.performLater(...args)).toBe(false)
  } else if (scenario.result.raised) {
    await expect(configured.performLater(...args)).rejects.toThrow(TypeError)
    await expectAfter(scenario)
  } else {
    const job = await configured.performLater(...args)
    expect(job === false ? false : 'job').toBe(scenario.result.returned)
    await expectAfter(scenario)
  }
  await session.end()
})

const scenarioOf = (id: string): Scenario => {
  const scenario = enqueues.find((each) => each.id === id)
  if (scenario === undefined) throw new Error(`no scenario ${id}`)
  return scenario
}

test('E39 a bulk of a class with only a performLimit is stored', async () => {
  const VJob = classOf(scenarioOf('E39'))
  await performAllLater([new VJob(), new VJob()])
  await expectAfter(scenarioOf('E39'))
})

test('E41 a batch whose members were all refused succeeds', async () => {
  const VJob = classOf(scenarioOf('E41'))
  const batch = await new Batch().enqueue([new VJob()])
  expect(batch).toMatchObject({ enqueuedAt: expect.any(Date), finishedAt: expect.any(Date), discardedAt: null })
  expect(batch.jobsFinishedAt).toBeInstanceOf(Date)
  expect(await rowsNow()).toEqual([])
})

test('E45 a job that enqueues itself again is not checked', async () => {
  const scenario = scenarioOf('E45')
  const VJob = classOf(scenario)
  const id = await enqueue(VJob)
  const [other] = scenario.after.jobs
  if (other) await insertBefore(other)
  await using _capsule = await world.start({ jobs: [VJob], queues: 'q' })
  await performed(id)
  await expectAfter(scenario)
})
