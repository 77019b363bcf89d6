import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { type Trace, traceOf } from './support/rows.ts'
import { describeWithRuby } from './support/ruby.ts'

/** A worker of either kind that serves the queues 'default' and 'other'. */
interface Worker {
  /** Id of its row in good_job_processes. */
  readonly processId: string
  stop(): Promise<void>
  kill(): Promise<void>
}

interface Side {
  readonly name: string
  startWorker(app: RailsApp): Promise<Worker>
}

// Hybrid takes the advisory lock and the row, as Node does: what a job looks like while it runs can be compared too.
const startRubyWorker = (app: RailsApp): Promise<Worker> =>
  app.startWorker({ env: { GOOD_JOB_LOCK_STRATEGY: 'hybrid' } })

/** The first is the reference; the second Ruby run shows that two runs of Ruby do not differ either. */
const SIDES: readonly [Side, ...Side[]] = [
  { name: 'Ruby', startWorker: startRubyWorker },
  { name: 'Ruby again', startWorker: startRubyWorker },
  { name: 'Node', startWorker: (app) => startNodeWorker(app, { jobs: 'shared', queues: 'default,other' }) },
]

interface Scenario {
  readonly name: string
  /** Ruby code that enqueues the jobs and returns them. */
  readonly enqueue: string
  /** The state of the jobs when the rows are read. @default 'finished' */
  readonly until?: 'finished' | 'retried' | 'running'
}

const SCENARIOS: readonly Scenario[] = [
  { name: 'success', enqueue: `[MemberJob.perform_later('success')]` },
  { name: 'two failures, then success', enqueue: '[FlakyJob.perform_later(2)]' },
  { name: 'a retry that waits', enqueue: '[PatientJob.perform_later]', until: 'retried' },
  { name: 'discard_on', enqueue: '[DiscardableJob.perform_later]' },
  { name: 'retries used up, without a block', enqueue: '[RetryStopJob.perform_later]' },
  { name: 'retries used up, with a block', enqueue: '[RetryStopWithBlockJob.perform_later]' },
  { name: 'an unhandled error', enqueue: '[UnhandledJob.perform_later]' },
  { name: 'labels', enqueue: `[LabelledJob.perform_later('labels')]` },
  { name: 'labels of one job', enqueue: `[LabelledJob.set(good_job_labels: ['one']).perform_later('labels')]` },
  { name: 'scheduled', enqueue: `[MemberJob.set(wait: 0.3.seconds).perform_later('scheduled')]` },
  { name: 'the priority of the class', enqueue: `[PriorityJob.perform_later('priority')]` },
  {
    name: 'another priority and queue',
    enqueue: `[PriorityJob.set(priority: -3, queue: 'other').perform_later('other')]`,
  },
  {
    name: 'bulk',
    enqueue: `[MemberJob.new('bulk 1'), PriorityJob.new('bulk 2'), MemberJob.new('bulk 3').set(queue: 'other')].tap { |jobs|
      ActiveJob.perform_all_later(jobs)
    }`,
  },
  { name: 'a retry of its own, without a wait', enqueue: `[AgainJob.perform_later]` },
  { name: 'running', enqueue: `[MemberJob.perform_later('running')]`, until: 'running' },
]

/** $1 jobs · $2 state. A job is only compared once its worker has released it. */
const SELECT_UNREACHED = `
  SELECT FROM good_jobs
  WHERE id = ANY($1) AND CASE $2
    WHEN 'finished' THEN finished_at IS NOT NULL AND locked_by_id IS NULL
    WHEN 'retried' THEN error_event = 3 AND performed_at IS NULL AND locked_by_id IS NULL
    WHEN 'running' THEN performed_at IS NOT NULL
  END IS NOT TRUE`

/** The cleanup by other workers after the row of a killed one has expired. $1 process */
const RELEASE_JOBS = 'UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE locked_by_id = $1'
const DELETE_PROCESS = 'DELETE FROM good_job_processes WHERE id = $1'

/** Classes whose jobs are killed while they run; the second one raises InterruptError. */
const KILLED = ['MemberJob', 'InterruptibleJob']

const killedName = (jobClass: string): string => `${jobClass}, killed and run again,`

describeWithRuby('the rows of a job', () => {
  let app: RailsApp
  const traces = new Map<string, Map<string, Trace[]>>()

  beforeAll(async () => {
    app = await bootRails()
    for (const side of SIDES) traces.set(side.name, await runScenarios(side))
  })

  afterAll(() => app.stop())

  const runScenarios = async (side: Side): Promise<Map<string, Trace[]>> => {
    const seen = new Map<string, Trace[]>()
    const gate = await shutGate(app.databaseUrl, 'running')
    const worker = await side.startWorker(app)
    for (const scenario of SCENARIOS) seen.set(scenario.name, await runScenario(scenario, worker))
    await gate.release()
    for (const [jobClass, trace] of await runKilled(side, worker)) seen.set(killedName(jobClass), [trace])
    return seen
  }

  const untilAre = (until: Scenario['until'], ids: readonly string[]) =>
    eventually(
      `the jobs are ${until}`,
      async () => (await app.pool.query(SELECT_UNREACHED, [ids, until])).rowCount === 0,
    )

  const runScenario = async ({ enqueue, until = 'finished' }: Scenario, worker: Worker): Promise<Trace[]> => {
    const ids = await app.run<string[]>(`${enqueue}.map(&:job_id)`)
    await untilAre(until, ids)
    const names = new Map([[worker.processId, 'the process']])
    return Promise.all(ids.map((id) => traceOf(app.pool, id, names)))
  }

  /** The worker is killed while its jobs run, and another one runs them again. */
  const runKilled = async (side: Side, killed: Worker): Promise<[string, Trace][]> => {
    const gate = await shutGate(app.databaseUrl, 'killed')
    const ids = await app.run<string[]>(`[${KILLED}].map { |job| job.perform_later('killed').job_id }`)
    await eventually('the jobs are at their gate', async () => (await gate.waiters()) === KILLED.length)
    await killed.kill()
    await eventually('their connections are gone', async () => (await gate.waiters()) === 0)
    await gate.release()
    for (const statement of [RELEASE_JOBS, DELETE_PROCESS]) await app.pool.query(statement, [killed.processId])
    const worker = await side.startWorker(app)
    await untilAre('finished', ids)
    await worker.stop()
    const names = new Map([
      [killed.processId, 'the killed process'],
      [worker.processId, 'the process'],
    ])
    return Promise.all(ids.map(async (id, index) => [KILLED[index] ?? '', await traceOf(app.pool, id, names)]))
  }

  const names = [...SCENARIOS.map(({ name }) => name), ...KILLED.map(killedName)]
  const [measure, ...others] = SIDES.map(({ name }) => name)

  test.each(others.flatMap((other) => names.map((name) => [name, other] as const)))(
    '%s are the same in Ruby and in %s',
    (name, other) => {
      const [rows, expected] = [other, measure].map((side) => traces.get(side ?? '')?.get(name) ?? [])
      expect(rows).not.toHaveLength(0)
      expect(rows).toEqual(expected)
    },
  )
})
