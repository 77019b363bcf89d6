import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { type CrashPoint, CrashProxy } from '../support/crash-proxy.ts'
import { openWorld, until, type World } from '../support/harness.ts'

class Hiccup extends Error {}

/** The same class as in fixtures/crash-worker.mjs, except that it never fails for good. */
class CrashJob extends Job<[course: string]> {
  static {
    CrashJob.retryOn(Hiccup, { wait: 0, jitter: 0, attempts: 5 })
  }

  perform(course: string): void {
    if (course === 'retried' && this.executions === 1) throw new Hiccup('retried once')
  }
}

const LANE = /^GoodJob::Lane$/
const INTERRUPTED = 0
const UNHANDLED = 1
const RETRIED = 3
const SUCCESS = null

interface Case extends CrashPoint {
  readonly point: string
  readonly course: string
  readonly options?: Readonly<Record<string, unknown>>
  /** The event of each execution in the end; none if the job had ended and was deleted. */
  readonly events: readonly (number | null)[]
}

/** Both sides of a statement, each with the history that the job has in the end. */
const around = (
  point: string,
  { before, after, ...rest }: Omit<Case, 'point' | 'when' | 'events'> & Record<'before' | 'after', Case['events']>,
): Case[] => [
  { point, when: 'before', events: before, ...rest },
  { point, when: 'after', events: after, ...rest },
]

const CASES: readonly Case[] = [
  ...around('the process row', {
    session: /^GoodJob::Capsule$/,
    statement: /INSERT INTO good_job_processes/,
    course: 'good',
    before: [SUCCESS],
    after: [SUCCESS],
  }),
  ...around('the claim, which is the start', {
    session: LANE,
    statement: /claim_/,
    course: 'good',
    before: [SUCCESS],
    after: [INTERRUPTED, SUCCESS],
  }),
  ...around('the flush of a success', {
    statement: /finish_jobs_/,
    course: 'good',
    before: [INTERRUPTED, SUCCESS],
    after: [SUCCESS],
  }),
  ...around('the flush of a success whose row is not kept', {
    statement: /delete_jobs_/,
    course: 'good',
    options: { preserveJobRecords: false },
    before: [INTERRUPTED, SUCCESS],
    after: [],
  }),
  ...around('the flush of a retry', {
    statement: /reenqueue_jobs_/,
    course: 'retried',
    before: [INTERRUPTED, RETRIED, SUCCESS],
    after: [RETRIED, SUCCESS],
  }),
  ...around('the flush of an unhandled error that is run again', {
    statement: /rerun_jobs_/,
    course: 'unhandled',
    options: { retryOnUnhandledError: true },
    before: [INTERRUPTED, SUCCESS],
    after: [UNHANDLED, SUCCESS],
  }),
  ...around('the unlock', {
    session: LANE,
    statement: /release_advisory_locks/,
    course: 'good',
    before: [SUCCESS],
    after: [SUCCESS],
  }),
]

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** A worker process that dies at the point; resolves when it is gone and the server has noticed. */
const crash = async ({ options, ...point }: Case): Promise<void> => {
  await using proxy = await CrashProxy.start(world.url, point)
  const child = spawn(process.execPath, [new URL('../fixtures/crash-worker.mjs', import.meta.url).pathname], {
    env: {
      ...process.env,
      WORKER_OPTIONS: JSON.stringify({ databaseUrl: proxy.url, batchSweepInterval: 0, ...options }),
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  proxy.onCrash(() => child.kill('SIGKILL'))
  const [, signal] = await once(child, 'exit')
  expect(signal).toBe('SIGKILL')
}

describe('kill -9', () => {
  for (const each of CASES) {
    test(`${each.when} ${each.point}: the job ends once, and its executions show the interruption [GJ-052]`, async () => {
      const job = await CrashJob.performLater(each.course)
      if (job === false) throw new Error('not enqueued')
      await crash(each)
      // Five minutes later the heartbeat of the process has expired.
      await world.sql(`UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes'`)
      await using capsule = await world.start({ jobs: [CrashJob] })
      await until(async () => {
        const open = await world.sql('SELECT FROM good_jobs WHERE finished_at IS NULL')
        const owned = await world.sql('SELECT FROM good_job_processes WHERE id <> $1', [capsule.processId])
        return open.length + owned.length === 0
      }, 'everything has ended and the dead process is gone')
      const executions = await world.executions(job.jobId)
      expect(executions.map(({ error_event }) => error_event)).toEqual(each.events)
      expect(executions.filter(({ finished_at }) => finished_at === null)).toEqual([])
      const [row] = await world.sql('SELECT error, error_event, locked_by_id, locked_at FROM good_jobs WHERE id = $1', [
        job.jobId,
      ])
      if (each.events.length === 0) expect(row).toBeUndefined()
      else expect(row).toEqual({ error: null, error_event: null, locked_by_id: null, locked_at: null })
    })
  }
})
