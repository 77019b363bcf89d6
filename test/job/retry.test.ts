import { describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { throwAbort } from '../../src/job/callbacks.ts'
import { type Logger, silentLogger } from '../../src/job/logger.ts'
import {
  declareFailingJob,
  eventNamesDuring,
  eventsDuring,
  NOW,
  perform,
  performAll,
  run,
  stoppedClock,
  storedJobOf,
  storedParams,
} from './fixtures.ts'

class NetworkError extends Error {}

describe('a retry', () => {
  test('stores the queue and priority of its declaration in hash and row, and leaves the job in memory unchanged [AJ-011, AJ-062]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { queue: 'slow', priority: 0 }, () => new NetworkError('no'))
    FailingJob.queueNamePrefix = 'pre'
    const result = await perform(new FailingJob().set({ queue: 'fast', priority: 7 }))
    expect(result.reenqueue).toMatchObject({ queueName: 'pre_slow', priority: 0 })
    expect(storedParams(result)).toMatchObject({ queue_name: 'pre_slow', priority: 0 })
    expect(result.job).toMatchObject({ queueName: 'pre_fast', priority: 7, scheduledAt: null })
  })

  test('emits perform_start, enqueue_at, enqueue_retry, perform, and no error on perform [AJ-088]', async () => {
    const error = new NetworkError('no')
    const FailingJob = declareFailingJob(NetworkError, { wait: 10, jitter: 0 }, () => error)
    const seen = await eventsDuring(() => perform(new FailingJob()))
    expect(seen.map(({ name }) => name)).toEqual(['perform_start', 'enqueue_at', 'enqueue_retry', 'perform'])
    expect(seen[2]?.payload).toMatchObject({ error, waitSeconds: 10 })
    expect(seen[3]?.payload).not.toHaveProperty('error')
  })

  test('with the report option emits error_report for scheduled retries only, not for the final failure [AJ-070]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { report: true, attempts: 3 }, () => new NetworkError('no'))
    const seen = await eventsDuring(() => performAll(new FailingJob()))
    const reports = seen.filter(({ name }) => name === 'error_report')
    expect(reports).toHaveLength(2)
    expect(reports[0]?.payload).toMatchObject({ severity: 'warning', source: 'application.active_job' })
  })

  test('that a before callback aborts emits a warning, and the error counts as unhandled [AJ-068]', async () => {
    const warnings: string[] = []
    const discarded: string[] = []
    const logger: Logger = {
      ...silentLogger,
      warn: (...line: unknown[]) => void warnings.push(String(line.at(-1))),
      child: () => logger,
    }
    const FailingJob = declareFailingJob(NetworkError, {}, () => new NetworkError('no'))
    FailingJob.beforeEnqueue(() => throwAbort())
    FailingJob.afterDiscard((_job, error) => discarded.push(error.message))
    const result = await perform(new FailingJob(), {}, { logger })
    expect(result).toMatchObject({ outcome: 'unhandled', error: { text: 'NetworkError: no' }, reenqueue: null })
    expect(warnings).toEqual(['A retry was not enqueued: a callback or the queue refused it'])
    expect(discarded).toEqual(['no'])
  })

  test('without its own wait keeps the scheduled_at of the job [AJ-069]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { wait: () => null }, () => new NetworkError('no'))
    const then = new Date('2024-02-28T00:00:00.500Z')
    const result = await perform(new FailingJob().set({ waitUntil: then }))
    expect(result.reenqueue?.scheduledAt?.getTime()).toBe(then.getTime())
    expect(storedParams(result).scheduled_at).toBe('2024-02-28T00:00:00.500000000Z')
  })

  test('clears the scheduled_at of the job if its class says so [AJ-069]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { wait: () => undefined }, () => new NetworkError('no'))
    FailingJob.retryKeepsSchedule = false
    const result = await perform(new FailingJob().set({ waitUntil: new Date(0) }))
    expect(result.reenqueue?.scheduledAt).toBeNull()
    expect(storedParams(result).scheduled_at).toBeNull()
  })

  test('keeps the nanoseconds of a time that Ruby stored [AJ-069]', async () => {
    const FailingJob = declareFailingJob(NetworkError, { wait: () => null }, () => new NetworkError('no'))
    const attempt = storedJobOf(new FailingJob().set({ waitUntil: NOW }))
    const serializedParams = attempt.serializedParams.replaceAll('.123000000Z', '.123456789Z')
    const result = await run({ ...attempt, serializedParams })
    expect(storedParams(result).scheduled_at).toBe('2024-02-29T12:34:56.123456789Z')
  })

  test('has a fresh enqueued_at and the same job_id [AJ-006, AJ-009]', async () => {
    const FailingJob = declareFailingJob(NetworkError, {}, () => new NetworkError('no'))
    const job = new FailingJob()
    const later = new Date(NOW.getTime() + 60_000)
    const result = await perform(job, {}, { clock: { ...stoppedClock, now: () => later } })
    expect(storedParams(result)).toMatchObject({ job_id: job.jobId, enqueued_at: '2024-02-29T12:35:56.123000000Z' })
  })
})

test('the last run of a job without handlers emits no retry events', async () => {
  class PlainJob extends Job {
    perform() {
      throw new Error('no')
    }
  }
  expect(await eventNamesDuring(() => perform(new PlainJob()))).toEqual(['perform_start', 'perform'])
})
