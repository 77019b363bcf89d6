import { randomUUID } from 'node:crypto'
import { Batch, type BatchOptions } from '../../src/batch/batch.ts'
import { type SweepOptions, type SweepResult, sweepBatches } from '../../src/batch/completion/sweep.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { events } from '../../src/events.ts'
import { Job } from '../../src/job/base.ts'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import type { Capsule, CapsuleOptions } from '../../src/worker/capsule.ts'
import { inTurn } from '../support/clean-up.ts'
import { forTests } from '../support/for-tests.ts'
import { openWorld, until, type World } from '../support/harness.ts'

/** A gate inside `perform`: the test awaits a job's arrival there, and opens it. */
export class Gate {
  readonly entered: Promise<void>
  readonly #opened: Promise<void>
  open: () => void = () => {}
  #enter: () => void = () => {}

  constructor() {
    this.entered = new Promise((resolve) => {
      this.#enter = resolve
    })
    this.#opened = new Promise((resolve) => {
      this.open = resolve
    })
  }

  pass(): Promise<void> {
    this.#enter()
    return this.#opened
  }
}

/** How one run of a member goes; a run with a gate waits there first. */
export type Run = 'ok' | 'fail' | { readonly gate: Gate; readonly ends: 'ok' | 'fail' }

const courses = new Map<string, Run[]>()

/** A member that behaves as its course says; without a course it succeeds. */
export class MemberJob extends Job<[name: string]> {
  async perform(name: string): Promise<void> {
    const run = courses.get(name)?.shift() ?? 'ok'
    if (typeof run === 'object') await run.gate.pass()
    if ((typeof run === 'object' ? run.ends : run) === 'fail') throw new Error(`${name} fails`)
  }
}

/** A callback that does nothing; it waits at a gate when there is one for its batch. */
export class CallbackJob extends Job {
  static readonly gates = new Map<string, Gate>()
  async perform(batch: Batch): Promise<void> {
    await CallbackJob.gates.get(batch.id)?.pass()
  }
}

/** Every callback by one class. */
export const ALL_CALLBACKS = { onDiscard: CallbackJob, onSuccess: CallbackJob, onFinish: CallbackJob }

/** A database whose batches have the column jobs_finished_at, or are from before that migration. */
export const openBatchWorld = async ({ hasJobsFinishedAt = true } = {}): Promise<World> => {
  const world = await openWorld()
  if (!hasJobsFinishedAt) await world.sql('ALTER TABLE good_job_batches DROP COLUMN jobs_finished_at')
  return world
}

/** Such a world for the tests of a `describe`; with `worker`, one that runs members and callbacks works in it. */
export const batchWorld = ({ worker, ...options }: BatchWorldOptions): World => {
  let capsule: Capsule | undefined
  return forTests(
    async () => {
      const world = await openBatchWorld(options)
      if (worker) capsule = await world.start({ jobs: [MemberJob, CallbackJob], ...worker })
      return world
    },
    (world) =>
      inTurn(
        () => capsule?.shutdown(),
        () => world.close(),
      )(),
  )
}

interface BatchWorldOptions {
  readonly hasJobsFinishedAt: boolean
  readonly worker?: Omit<CapsuleOptions, 'jobs'>
}

/** The state of a batch as a person describes it. */
export interface Seen {
  readonly isDiscarded: boolean
  /** Whether every member has ended: jobs_finished_at, or finished_at where that column is missing. */
  readonly isEnded: boolean
  readonly isFinished: boolean
  /** Events of the callback jobs, in the order in which they were enqueued. */
  readonly callbacks: readonly string[]
}

/** A batch of members whose course a test decides. */
export class Scene {
  readonly world: World
  readonly batch: Batch
  readonly jobs: Readonly<Record<string, string>>
  readonly #prefix: string

  private constructor(world: World, batch: Batch, jobs: Record<string, string>, prefix: string) {
    this.world = world
    this.batch = batch
    this.jobs = jobs
    this.#prefix = prefix
  }

  /** Enqueues a batch with one member for each course; `startsIn` keeps a member waiting. */
  static async enqueue(
    world: World,
    members: Readonly<Record<string, readonly Run[] | { readonly startsIn: number }>>,
    options: BatchOptions = ALL_CALLBACKS,
  ): Promise<Scene> {
    const batch = new Batch(options, world.adapter)
    const jobs: Job[] = []
    for (const [name, course] of Object.entries(members)) {
      const own = `${batch.id} ${name}`
      const job = new MemberJob(own)
      if ('startsIn' in course) job.set({ wait: course.startsIn })
      else courses.set(own, [...course])
      jobs.push(job)
    }
    const names = Object.keys(members)
    await batch.enqueue(jobs)
    const ids = Object.fromEntries(names.map((name, index) => [name, jobs[index]?.jobId ?? '']))
    return new Scene(world, batch, ids, batch.id)
  }

  /** The id of a member. */
  id(name: string): string {
    const id = this.jobs[name]
    if (id === undefined) throw new Error(`no member ${name}`)
    return id
  }

  /** How the next runs of a member go. */
  let(name: string, ...runs: Run[]): void {
    courses.set(`${this.#prefix} ${name}`, runs)
  }

  /** A new member for a later stage. */
  member(name: string, ...runs: Run[]): MemberJob {
    this.let(name, ...runs)
    return new MemberJob(`${this.#prefix} ${name}`)
  }

  /** The batch when every due job has ended, callbacks too; those named by id are not waited for. */
  async settled(except: readonly string[] = []): Promise<Seen> {
    await untilSettled(this.world, this.batch.id, except)
    await this.#unlocked(Object.values(this.jobs))
    return this.seen()
  }

  /** Resolves when the row of a member is finished. */
  async ended(name: string): Promise<void> {
    await untilAttempts(async () => (await this.world.job(this.id(name))).finished_at !== null)
    await this.#unlocked([this.id(name)])
  }

  /** A worker lets go of a job a moment after its outcome is committed; until then no other session may act on it. */
  async #unlocked(ids: readonly string[]): Promise<void> {
    const keys = ids.map(jobLockKey)
    const isFree = async () => (await this.world.sql(SELECT_LOCKS, [keys])).length === 0
    await until(isFree, `the locks of batch ${this.batch.id} are free`)
  }

  async seen(): Promise<Seen> {
    await this.batch.reload()
    const { adapter } = this.world
    const { hasJobsFinishedAt } = await adapter.database.facts()
    const callbacks = await this.world.sql<{ event: string }>(SELECT_CALLBACKS, [this.batch.id])
    return {
      isDiscarded: this.batch.isDiscarded,
      isEnded: (hasJobsFinishedAt ? this.batch.jobsFinishedAt : this.batch.finishedAt) !== null,
      isFinished: this.batch.isFinished,
      callbacks: callbacks.map(({ event }) => event),
    }
  }
}

const SELECT_LOCKS = `
  SELECT pid FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = ANY ($1::bigint[])`

const SELECT_CALLBACKS = `
  SELECT serialized_params #>> '{arguments,1,event,value}' AS event
  FROM good_jobs WHERE batch_callback_id = $1 ORDER BY (serialized_params->>'enqueued_at')::timestamptz, event`

/** Resolves when no job of the batch that is due is open. */
export const untilSettled = (world: World, batchId: string, except: readonly string[] = []): Promise<void> =>
  untilAttempts(async () => (await world.sql<{ open: number }>(COUNT_OPEN, [batchId, except]))[0]?.open === 0)

const COUNT_OPEN = `
  SELECT count(*)::integer AS open FROM good_jobs
  WHERE (batch_id = $1 OR batch_callback_id = $1) AND finished_at IS NULL AND id <> ALL ($2::uuid[])
    AND scheduled_at <= clock_timestamp() AT TIME ZONE 'UTC' + interval '1 minute'`

/** Resolves when `holds` returns true; checks at once and after each attempt that ended in this process. */
const untilAttempts = async (holds: () => Promise<boolean>): Promise<void> => {
  for (;;) {
    let stop = () => {}
    const ended = new Promise<void>((resolve) => {
      const listener = () => resolve()
      events.on('perform_job', listener).on('outcome_lost', listener)
      stop = () => void events.off('perform_job', listener).off('outcome_lost', listener)
    })
    try {
      if (await holds()) return
      await ended
    } finally {
      stop()
    }
  }
}

/** How many batches of each description came to which callbacks. */
export const callbacksByDescription = (world: World) => world.sql(COUNT_BY_CALLBACKS)

const COUNT_BY_CALLBACKS = `
  SELECT description, events, count(*)::integer AS batches
  FROM (
    SELECT description,
      (SELECT string_agg(serialized_params #>> '{arguments,1,event,value}', ' ' ORDER BY serialized_params #>> '{arguments,1,event,value}')
       FROM good_jobs WHERE batch_callback_id = good_job_batches.id) AS events
    FROM good_job_batches
  ) AS batch
  GROUP BY 1, 2 ORDER BY 1`

/** A sweep of everything, also of what ended just now. */
export const sweepOf = (world: World, options: Partial<SweepOptions> = {}): Promise<SweepResult> =>
  sweepBatches({
    database: world.adapter.database,
    check: checkOptionsOf(world.adapter),
    processId: randomUUID(),
    windowMs: 3_600_000,
    // Also what ends while the sweep waits.
    graceMs: -60_000,
    ...options,
  })
