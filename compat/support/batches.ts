import { randomBytes } from 'node:crypto'
import type { RailsApp } from '../rails-app.ts'
import { eventually } from './eventually.ts'
import { type HeldLock, holdBatch, shutGate } from './locks.ts'
import { isQuiet } from './quiet.ts'

/** A MemberJob of a batch and its course. */
export interface Member {
  readonly name: string
  /** How many of its runs fail. @default 0 */
  readonly fails?: number
  /** Whether it waits in the middle of its work until `letGo`. @default false */
  readonly waits?: boolean
  /** Seconds until it may start. @default 0 */
  readonly startsIn?: number
  /** @default 'MemberJob' */
  readonly jobClass?: string
  /** @default the one of the class */
  readonly queue?: string
}

export interface BatchOptions {
  readonly members: readonly Member[]
  /** Class names. @default 'BatchCallbackJob' for each */
  readonly onSuccess?: string | null
  readonly onFinish?: string | null
  readonly onDiscard?: string | null
  readonly properties?: Readonly<Record<string, unknown>>
  /** Whether the callback jobs wait in the middle of their work until `letCallbacksGo`. @default false */
  readonly holdsCallbacks?: boolean
}

export type MemberState = 'open' | 'succeeded' | 'discarded'
export type CallbackEvent = 'discard' | 'success' | 'finish'

/** A batch as read from its row, its members and its callback jobs. */
export interface BatchState {
  readonly isDiscarded: boolean
  /** Whether every member has ended; from finished_at if the column is missing. */
  readonly areJobsFinished: boolean
  readonly isFinished: boolean
  readonly members: Readonly<Record<string, MemberState>>
  /** Of every callback job there is, in the order in which they were enqueued. */
  readonly callbacks: readonly CallbackEvent[]
}

/** What the dashboard calls the batch. */
const statusOf = ({ isDiscarded, isFinished }: BatchState): 'open' | 'discarded' | 'succeeded' => {
  if (!isFinished) return 'open'
  return isDiscarded ? 'discarded' : 'succeeded'
}

/** The result of a batch: the dashboard's word for it, and all of its callbacks in alphabetical order. */
export const resultOf = (state: BatchState) => ({ status: statusOf(state), callbacks: state.callbacks.toSorted() })

/** Such a result, to compare with. */
export const theResult = (status: ReturnType<typeof statusOf>, ...callbacks: CallbackEvent[]) => ({
  status,
  callbacks: callbacks.toSorted(),
})

const ENQUEUE_BATCH = `
  jobs = {}
  batch = GoodJob::Batch.new(
    description: args[:description], on_success: args[:on_success], on_finish: args[:on_finish], on_discard: args[:on_discard],
    **args[:properties].symbolize_keys
  )
  batch.enqueue do
    args[:members].each do |member|
      options = { wait: member[:starts_in]&.seconds, queue: member[:queue] }.compact
      jobs[member[:name]] = member[:job_class].constantize.set(**options).perform_later(member[:own_name]).job_id
    end
  end
  { id: batch.id, jobs: jobs }`

const SELECT_BATCH = `
  SELECT
    discarded_at IS NOT NULL AS "isDiscarded",
    coalesce(to_jsonb(good_job_batches) ->> 'jobs_finished_at', finished_at::text) IS NOT NULL AS "areJobsFinished",
    finished_at IS NOT NULL AS "isFinished"
  FROM good_job_batches WHERE id = $1`

const SELECT_MEMBERS = `
  SELECT
    id,
    CASE WHEN finished_at IS NULL THEN 'open' WHEN error IS NULL THEN 'succeeded' ELSE 'discarded' END AS state
  FROM good_jobs WHERE batch_id = $1`

/** $1 batch · $2 event */
const SELECT_CALLBACK = `
  SELECT id FROM good_jobs WHERE batch_callback_id = $1 AND serialized_params #>> '{arguments,1,event,value}' = $2`

const SELECT_CALLBACKS = `
  SELECT serialized_params #>> '{arguments,1,event,value}' AS event
  FROM good_jobs WHERE batch_callback_id = $1 ORDER BY created_at`

/** Names the gate of the callbacks among those of the members. */
const CALLBACKS = ' callbacks'

/** A batch that was enqueued in Ruby, with members whose course a test decides. */
export class TestBatch {
  readonly id: string
  readonly #app: RailsApp
  readonly #prefix: string
  readonly #jobs: Readonly<Record<string, string>>
  readonly #gates: ReadonlyMap<string, HeldLock>

  private constructor(
    app: RailsApp,
    prefix: string,
    jobs: Record<string, string>,
    id: string,
    gates: Map<string, HeldLock>,
  ) {
    this.id = id
    this.#app = app
    this.#prefix = prefix
    this.#jobs = jobs
    this.#gates = gates
  }

  /** Prepares the courses of the members and enqueues the batch. */
  static async enqueue(app: RailsApp, options: BatchOptions): Promise<TestBatch> {
    const { members, properties = {} } = options
    const prefix = randomBytes(4).toString('hex')
    const gates = new Map<string, HeldLock>()
    for (const { name, fails = 0, waits = false } of members) {
      if (fails > 0) await app.letFail(`${prefix} ${name}`, fails)
      if (waits) gates.set(name, await shutGate(app.databaseUrl, `${prefix} ${name}`))
    }
    if (options.holdsCallbacks) gates.set(CALLBACKS, await shutGate(app.databaseUrl, `callbacks of ${prefix}`))
    const { id, jobs } = await app.run<{ id: string; jobs: Record<string, string> }>(ENQUEUE_BATCH, {
      description: members.map(({ name }) => name).join(', '),
      on_success: callback(options.onSuccess),
      on_finish: callback(options.onFinish),
      on_discard: callback(options.onDiscard),
      properties: { name: prefix, ...properties },
      members: members.map(({ name, jobClass = 'MemberJob', startsIn, queue }) => {
        return { name, own_name: `${prefix} ${name}`, job_class: jobClass, starts_in: startsIn, queue }
      }),
    })
    return new TestBatch(app, prefix, jobs, id, gates)
  }

  /** The id of a member's job. */
  job(name: string): string {
    const id = this.#jobs[name]
    if (id === undefined) throw new Error(`no member ${name}`)
    return id
  }

  /** Lets a waiting member continue. */
  async letGo(name: string): Promise<void> {
    await this.#gates.get(name)?.release()
  }

  /** Whether the member's work is over, for good or with its last failure; its outcome may still have to be written. */
  async hasRun(name: string): Promise<boolean> {
    const own = `${this.#prefix} ${name}`
    const failed = await this.#app.pool.query('SELECT FROM compat_failures WHERE name = $1 AND remaining = 0', [own])
    return failed.rowCount === 1 || (await this.#app.events('performed', { name: own })).length > 0
  }

  /** Lets the waiting callback jobs continue. */
  async letCallbacksGo(): Promise<void> {
    await this.#gates.get(CALLBACKS)?.release()
  }

  /** The member's next `times` runs fail. */
  async letFail(name: string, times: number): Promise<void> {
    await this.#app.letFail(`${this.#prefix} ${name}`, times)
  }

  /** Resolves when the member has begun its work for the `times`-th time. */
  async untilStarted(name: string, times = 1): Promise<void> {
    const own = `${this.#prefix} ${name}`
    await eventually(`${name} has started ${times} times`, async () => {
      return (await this.#app.events('started', { name: own })).length >= times
    })
  }

  /** Resolves when these callbacks have begun their work. */
  async untilCallbacksStarted(callbacks: readonly CallbackEvent[]): Promise<void> {
    await eventually(`callbacks ${callbacks.join(', ')} have started`, async () => {
      const started = await this.#app.events('callback', { batch_id: this.id })
      return callbacks.every((event) => started.some(({ payload }) => payload.event === event))
    })
  }

  /** The next `times` runs of this callback fail, if it is a FailingCallbackJob. */
  async letCallbackFail(event: CallbackEvent, times: number): Promise<void> {
    await this.#app.letFail(`${event} of ${this.#prefix}`, times)
  }

  /** The id of the first job of this callback, when it has ended, and with it the bookkeeping of the one who ran it. */
  async untilCallbackEnded(event: CallbackEvent): Promise<string> {
    return eventually(`the ${event} callback has ended`, async () => {
      const { rows } = await this.#app.pool.query<{ id: string }>(SELECT_CALLBACK, [this.id, event])
      const [job] = rows
      return job !== undefined && (await this.#isQuiet(job.id)) && job.id
    })
  }

  /** Resolves when the member is in this state. */
  async untilMember(name: string, state: MemberState): Promise<void> {
    await eventually(`${name} is ${state}`, async () => (await this.state()).members[name] === state)
  }

  /** Holds up the batch's bookkeeping in every process. */
  async hold(): Promise<HeldLock> {
    return holdBatch(this.#app.databaseUrl, this.id)
  }

  /** Lets these members end, in this order; GoodJob's bookkeeping of the first begins when all outcomes are written. */
  async endBeforeBookkeeping(...names: string[]): Promise<void> {
    await Promise.all(names.map((name) => this.untilStarted(name)))
    const held = await this.hold()
    for (const [index, name] of names.entries()) {
      await this.letGo(name)
      await eventually(`the bookkeeping of ${name} waits`, async () => (await held.waiters()) === index + 1)
    }
    await held.release()
  }

  async state(): Promise<BatchState> {
    const { pool } = this.#app
    const [batch, members, callbacks] = await Promise.all([
      pool.query<Omit<BatchState, 'members' | 'callbacks'>>(SELECT_BATCH, [this.id]),
      pool.query<{ id: string; state: MemberState }>(SELECT_MEMBERS, [this.id]),
      pool.query<{ event: CallbackEvent }>(SELECT_CALLBACKS, [this.id]),
    ])
    const [row] = batch.rows
    if (row === undefined) throw new Error(`no batch ${this.id}`)
    const names = new Map(Object.entries(this.#jobs).map(([name, id]) => [id, name]))
    return {
      ...row,
      members: Object.fromEntries(members.rows.map(({ id, state }) => [names.get(id) ?? 'added', state])),
      callbacks: callbacks.rows.map(({ event }) => event),
    }
  }

  /** Resolves when the member has ended, and with it the bookkeeping of the one who ran it. */
  async untilEnded(name: string): Promise<void> {
    await eventually(`${name} has ended`, () => this.#isQuiet(this.job(name)))
  }

  /**
   * The batch when nothing will happen to it any more by itself: every job that is due has ended, callbacks too, and so has
   * the bookkeeping of each.
   */
  async settled(): Promise<BatchState> {
    await eventually(`batch ${this.id} is quiet`, () => this.#isQuiet(null))
    return this.state()
  }

  #isQuiet(jobId: string | null): Promise<boolean> {
    return isQuiet(this.#app.pool, this.id, jobId)
  }
}

const callback = (name: string | null | undefined): string | null => (name === undefined ? 'BatchCallbackJob' : name)
