import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import type { Job } from '../../src/job/base.ts'
import { jobClass, next, openWorld, record } from '../support/harness.ts'
import { type HostileRow, hostileBatch, hostilePayload, hostileRow } from '../support/hostile.ts'
import { BATCH_COLUMNS, insertHostile, JOB_COLUMNS } from '../support/hostile-tables.ts'
import { sendMessage } from '../support/messages.ts'
import { advisoryLocks } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())

/** Set HOSTILE_ROWS=10000 and another HOSTILE_SEED manually for a longer run. */
const ROWS = Number(process.env.HOSTILE_ROWS ?? 2_000)
const SEED = Number(process.env.HOSTILE_SEED ?? 20_260_131)
const GOOD_JOBS = Math.ceil(ROWS / 10)
const PAYLOADS = Math.ceil(ROWS / 10)

/** Reads all of its properties. */
const readAll = (job: Job): unknown => [
  job.queueName,
  job.priority,
  job.labels,
  job.locale,
  job.timezone,
  job.enqueuedAt?.toISOString(),
  job.scheduledAt?.toISOString(),
  job.exceptionExecutions,
  job.batch?.properties,
  job.batch?.description,
]

const again = new Set<string>()
const HOSTILE = [
  jobClass('ReadingJob', (job) => void readAll(job)),
  jobClass('FailingJob', () => {
    throw new Error('as it should')
  }),
  jobClass(
    'RetryingJob',
    () => {
      throw new Error('once more')
    },
    (made) => made.retryOn(Error, { wait: 0, attempts: 2 }),
  ),
  jobClass('AgainJob', async (job, ...args) => {
    const id = String(job.providerJobId)
    if (again.has(id)) return
    again.add(id)
    await job.retryJob({ wait: 0, priority: args.length })
  }),
  jobClass(
    'DiscardingJob',
    (job) => void readAll(job),
    (made) => made.discardOn(Error),
  ),
]
const ran = new Map<string, number>()
const GoodJob = jobClass('GoodJob', (job, ...[word]: string[]) => {
  if (word === `word of ${job.jobId}`) ran.set(job.jobId, (ran.get(job.jobId) ?? 0) + 1)
})
const CLASSES = HOSTILE.map(({ jobClass: name }) => name)

const goodRow = (): HostileRow => {
  const id = randomUUID()
  const serialized = JSON.stringify({ job_class: 'GoodJob', job_id: id, arguments: [`word of ${id}`], executions: 0 })
  const at = '2026-01-31 12:00:00'
  return {
    id,
    active_job_id: id,
    job_class: 'GoodJob',
    queue_name: 'default',
    priority: '0',
    serialized_params: serialized,
    scheduled_at: at,
    created_at: at,
    updated_at: at,
  }
}

const isDue = ({ job_class, scheduled_at }: HostileRow): boolean =>
  CLASSES.includes(job_class ?? '') && scheduled_at !== null && !/^infinity|^9999/.test(scheduled_at)

const SELECT_LEFT = `
  SELECT id FROM good_jobs WHERE finished_at IS NULL AND job_class = ANY ($1) AND scheduled_at <= now() LIMIT 5`

const sendPayloads = async (): Promise<void> => {
  for (const payload of fc.sample(hostilePayload, { numRuns: PAYLOADS, seed: SEED }))
    await sendMessage(world.pool, payload)
}

const untilAllHaveEnded = async (): Promise<void> => {
  while ((await world.sql(SELECT_LEFT, [[...CLASSES, 'GoodJob']])).length > 0) {
    await sendMessage(world.pool, '{}')
    await Promise.race([next('perform_job'), new Promise((resolve) => setTimeout(resolve, 1_000))])
  }
}

test(`${ROWS} hostile rows and NOTIFY messages each fail alone, and good jobs among them succeed (seed ${SEED}) [GJ-024]`, async () => {
  const batches = fc.sample(hostileBatch, { numRuns: 50, seed: SEED })
  await insertHostile(world.pool, 'good_job_batches', BATCH_COLUMNS, batches)
  const batchIds = batches.map(({ id }) => id)
  const hostile = fc.sample(hostileRow(CLASSES, batchIds), { numRuns: ROWS, seed: SEED })
  const good = Array.from({ length: GOOD_JOBS }, goodRow)
  const rows = [...hostile, ...good].sort((a, b) => a.id.localeCompare(b.id))
  const records = [record('claim_failed'), record('worker_error'), record('notifier_notify_error')] as const
  const capsule = await world.start({
    jobs: [...HOSTILE, GoodJob],
    threads: 20,
    pollInterval: 1,
    batchSweepInterval: 2,
  })
  const messages = sendPayloads()
  for (let from = 0; from < rows.length; from += 100)
    await insertHostile(world.pool, 'good_jobs', JOB_COLUMNS, rows.slice(from, from + 100))
  await messages
  await untilAllHaveEnded()
  expect(capsule.isListening).toBe(true)
  await capsule.shutdown()
  for (const each of records) each.stop()
  const errors = records.map(({ seen }) => seen.map(({ error }) => String(error)).slice(0, 3))
  expect(errors).toEqual([[], [], [expect.stringContaining('ignored a message')]])
  expect([...ran.values()].filter((times) => times !== 1)).toEqual([])
  expect(ran.size).toBe(GOOD_JOBS)

  const due = hostile.filter(isDue).map(({ id }) => id)
  const [counts] = await world.sql(
    `SELECT count(*) FILTER (WHERE finished_at IS NULL OR locked_by_id IS NOT NULL)::int AS unfinished,
       count(*) FILTER (WHERE error IS NULL)::int AS succeeded, count(*)::int AS due
     FROM good_jobs WHERE id = ANY ($1)`,
    [due],
  )
  expect(counts).toMatchObject({ unfinished: 0, due: due.length })
  expect(Number(counts?.succeeded)).toBeGreaterThan(due.length / 20)
  expect(Number(counts?.succeeded)).toBeLessThan(due.length / 2)
  const others = hostile.filter((row) => !isDue(row)).map(({ id }) => id)
  const touched = await world.sql(
    'SELECT id FROM good_jobs WHERE id = ANY ($1) AND (finished_at IS NOT NULL OR locked_by_id IS NOT NULL)',
    [others],
  )
  expect(touched).toEqual([])
  expect(await world.sql('SELECT id FROM good_job_executions WHERE finished_at IS NULL')).toEqual([])
  expect(await world.sql('SELECT id FROM good_job_executions WHERE active_job_id = ANY ($1)', [others])).toEqual([])
  expect(await advisoryLocks(world)).toEqual([])
}, 900_000)
