import { afterAll, beforeEach, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { checkOptionsOf } from '../../src/batch/context.ts'
import type { Job } from '../../src/job/base.ts'
import type { SettledAs } from '../../src/perform/outcome/outcome.ts'
import { writeOutcomes } from '../../src/perform/outcome/transaction.ts'
import { OutcomeWriter } from '../../src/perform/outcome/writer.ts'
import { batchLockKey } from '../../src/sql/advisory-lock.ts'
import { claimAll, outcomeOf } from '../batch/outcomes.ts'
import { enqueue, jobClass, openWorld, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

const EchoJob = jobClass('EchoJob', () => {})

/** The outcomes of all jobs, as their worker has them when they have ended. */
const endedAttempts = async () => {
  const client = await world.database.connect()
  const { rows, now, processId } = await claimAll(world, client, ['EchoJob'])
  const outcomes = rows.map((row) => outcomeOf(row, now, world.adapter.clock.timestamp()))
  const options = { processId, keepsCreatedAt: false, notifies: false, check: checkOptionsOf(world.adapter) }
  return { client, outcomes, options }
}

test('an outcome that waits for the lock of its batch has locked no row', async () => {
  const job = new (EchoJob as new () => Job)()
  const batch = await Batch.enqueue({}, job)
  const { client, outcomes, options } = await endedAttempts()
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT pg_advisory_xact_lock($1)', [batchLockKey(batch.id)])
  const written = writeOutcomes(client, outcomes, { ...options, facts: await world.adapter.database.facts() })
  const waits = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
  await until(async () => (await world.sql(waits)).length === 1, 'the outcome waits')
  // The holder of the batch lock may lock the row next; the reverse order here would deadlock.
  await holder.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE NOWAIT', [job.jobId])
  await holder.query('COMMIT')
  expect([...(await written).values()]).toEqual(['written'])
  await holder.end()
  await client.end()
})

test('an outcome of a claim that was lost is dropped, although its row says that the claim holds', async () => {
  const [lost, kept] = [await enqueue(EchoJob), await enqueue(EchoJob)]
  const { client, outcomes, options } = await endedAttempts()
  const settled = new Map<string, SettledAs>()
  const { database } = world.adapter
  const limits = { lockTimeoutMs: 200, statementTimeoutMs: 5_000, answerTimeoutMs: 10_000 }
  const writer = new OutcomeWriter({ ...options, database }, limits, new AbortController().signal)
  const unwritten = await writer.write(
    outcomes.map((outcome) => ({
      ...outcome,
      isLost: () => outcome.row.id === lost,
      settled: (as) => void settled.set(outcome.row.id, as),
    })),
  )
  await writer.close()
  await client.end()
  expect(unwritten).toMatchObject({ refused: [], failed: [] })
  expect(settled).toEqual(
    new Map<string, SettledAs>([
      [lost, 'lost'],
      [kept, 'written'],
    ]),
  )
  expect(await world.job(lost)).toMatchObject({ finished_at: null, locked_by_id: options.processId })
  expect(await world.job(kept)).toMatchObject({ finished_at: expect.any(Date), locked_by_id: null })
})
