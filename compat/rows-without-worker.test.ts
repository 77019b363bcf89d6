import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Adapter, Job, performAllLater } from '../dist/index.js'
import type { RailsApp } from './rails-app.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { type Trace, traceOf } from './support/rows.ts'
import { describeWithRuby } from './support/ruby.ts'

class MemberJob extends Job {
  override async perform(_name: string): Promise<void> {}
}

class PriorityJob extends Job {
  static override priority = 7

  override async perform(_name: string): Promise<void> {}
}

/** Actions of a program or a person on jobs while no worker runs, in both languages; each returns or gets the ids of the jobs. */
interface Deed {
  readonly name: string
  readonly ruby: string
  readonly node: (adapter: Adapter, id: string) => Promise<unknown>
  /** The state of the job before. @default 'absent' */
  readonly of?: 'discarded' | 'waiting'
}

const HOUR_SECONDS = 3_600
const NEXT_YEAR = '2050-01-02T03:04:05.678Z'

const DEEDS: readonly Deed[] = [
  {
    name: 'enqueued alone',
    ruby: `[MemberJob.perform_later('one').job_id]`,
    node: async () => [await MemberJob.performLater('one')],
  },
  {
    name: 'enqueued for later',
    ruby: `[MemberJob.set(wait: 1.hour, queue: 'slow').perform_later('later').job_id]`,
    node: async () => [await MemberJob.set({ wait: HOUR_SECONDS, queue: 'slow' }).performLater('later')],
  },
  {
    name: 'enqueued for a given time',
    ruby: `[MemberJob.set(wait_until: Time.iso8601('${NEXT_YEAR}')).perform_later('then').job_id]`,
    node: async () => [await MemberJob.set({ waitUntil: new Date(NEXT_YEAR) }).performLater('then')],
  },
  {
    name: 'enqueued together',
    ruby: `[MemberJob.new('1'), PriorityJob.new('2'), MemberJob.new('3').set(wait: 1.hour)].tap { |jobs| ActiveJob.perform_all_later(jobs) }.map(&:job_id)`,
    node: async () => {
      const later = MemberJob.set({ wait: HOUR_SECONDS }).build('3')
      const jobs = [new MemberJob('1'), new PriorityJob('2'), later]
      await performAllLater(jobs)
      return jobs
    },
  },
  {
    name: 'retried',
    of: 'discarded',
    ruby: 'GoodJob::Job.find(args[:id]).retry_job',
    node: (adapter, id) => adapter.retryJob(id),
  },
  {
    name: 'discarded',
    of: 'waiting',
    ruby: `GoodJob::Job.find(args[:id]).discard_job('manually')`,
    node: (adapter, id) => adapter.discardJob(id, 'manually'),
  },
  {
    name: 'rescheduled',
    of: 'waiting',
    ruby: `GoodJob::Job.find(args[:id]).reschedule_job(Time.iso8601('${NEXT_YEAR}'))`,
    node: (adapter, id) => adapter.rescheduleJob(id, new Date(NEXT_YEAR)),
  },
]

/** The end of an attempt that failed for good; $1 id, $2 of the execution */
const FAIL_JOB = `
  WITH failed AS (
    UPDATE good_jobs SET performed_at = created_at + interval '1 s', finished_at = created_at + interval '2 s',
      updated_at = created_at + interval '3 s', executions_count = 1, error = 'MemberJob::Failed: on purpose', error_event = 1
    WHERE id = $1 RETURNING *
  )
  INSERT INTO good_job_executions (id, active_job_id, job_class, queue_name, serialized_params, scheduled_at, created_at, updated_at,
    finished_at, duration, error, error_event)
  SELECT $2, id, job_class, queue_name, serialized_params, scheduled_at, performed_at, updated_at, finished_at, '1 s', error, 1 FROM failed`

/** Moves the times into the past, so that the times of the enqueue and of the action differ. $1 id */
const AGE_JOB = `
  UPDATE good_jobs SET created_at = created_at - interval '1 hour', updated_at = updated_at - interval '1 hour',
    scheduled_at = scheduled_at - interval '1 hour' WHERE id = $1`

describeWithRuby('the rows of a job that no worker has run', () => {
  let app: RailsApp
  let adapter: Adapter

  beforeAll(async () => {
    app = await bootRails()
    adapter = openAdapter(app)
    Job.queueAdapter = adapter
  })

  afterAll(() => app.stop())

  const prepare = async ({ of }: Deed): Promise<string> => {
    if (of === undefined) return ''
    const [id] = await app.run<string[]>(`[MemberJob.perform_later('manually').job_id]`)
    await app.pool.query(AGE_JOB, [id])
    if (of === 'discarded') await app.pool.query(FAIL_JOB, [id, randomUUID()])
    return id ?? ''
  }

  const inRuby = async (deed: Deed): Promise<Trace[]> => {
    const id = await prepare(deed)
    const answer = await app.run<string[]>(deed.ruby, { id })
    return tracesOf(deed.of ? [id] : answer)
  }

  const inNode = async (deed: Deed): Promise<Trace[]> => {
    const id = await prepare(deed)
    const answer = await deed.node(adapter, id)
    return tracesOf(deed.of ? [id] : (answer as Job[]).map(({ jobId }) => jobId))
  }

  const tracesOf = (ids: readonly string[]): Promise<Trace[]> =>
    Promise.all(ids.map((id) => traceOf(app.pool, id, new Map())))

  test.each(DEEDS.map((deed) => [deed.name, deed] as const))(
    '%s are the same in Ruby and in Node',
    async (_name, deed) => {
      const [expected, again, rows] = [await inRuby(deed), await inRuby(deed), await inNode(deed)]
      expect(again).toEqual(expected)
      expect(rows).toEqual(expected)
    },
  )
})
