import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { jobClass, next, openWorld, until } from '../support/harness.ts'
import { startOwnServer } from '../support/own-server.ts'

const server = await startOwnServer()
const world = await openWorld(server.database)
afterAll(() => world.close())
beforeAll(async () => {
  // The smallest queue, from Postgres 17 on: half a megabyte of messages.
  await world.sql('ALTER SYSTEM SET max_notify_queue_pages = 64')
  await server.stopServer('fast')
  await server.startServer()
})

/** Fills the queue: a session that listens inside a transaction keeps all messages. Returns the function that ends it. */
const fillQueue = async () => {
  const listener = await world.database.connect()
  await listener.query('LISTEN good_job')
  await listener.query('BEGIN')
  await listener.query('SELECT 1')
  for (;;) {
    const [error] = await world
      .sql(`SELECT pg_notify('other', repeat('x', 7000) || n) FROM generate_series(1, 20) AS n`)
      .then(
        () => [],
        (reason) => [reason],
      )
    if (error !== undefined) {
      expect(error).toMatchObject({ code: '54000' })
      break
    }
  }
  // Fills the rest, so that no message of the worker fits either.
  while (
    await world.sql(`SELECT pg_notify('other', 'x')`).then(
      () => true,
      () => false,
    )
  );
  return () => listener.end()
}

const column = async (sql: string): Promise<unknown[]> =>
  (await world.pool.query({ text: sql, rowMode: 'array' })).rows.map(([value]) => value)

test('a full NOTIFY queue fails no job: retries and callbacks are written without their messages', async () => {
  let isFull = false
  const RetryJob = jobClass(
    'RetryJob',
    (job) => {
      if (job.executions === 1) throw new Error('once')
      if (!isFull) throw new Error('too late')
    },
    (made) => made.retryOn(Error, { wait: 0, attempts: 3 }),
  )
  const EchoJob = jobClass('EchoJob', () => {})
  const CallbackJob = jobClass('CallbackJob', () => {})
  const batch = new Batch({ onSuccess: CallbackJob, onFinish: CallbackJob })
  await batch.enqueue([new RetryJob(), new RetryJob(), new EchoJob()])
  const empty = await fillQueue()
  isFull = true
  const ended = next('perform_job', 7)
  const capsule = await world.start({ jobs: [RetryJob, EchoJob, CallbackJob], pollInterval: 0.1 })
  try {
    const outcomes = (await ended).map(({ outcome }) => outcome).toSorted()
    expect(outcomes).toEqual(['retried', 'retried', 'succeeded', 'succeeded', 'succeeded', 'succeeded', 'succeeded'])
    expect(await column('SELECT DISTINCT error FROM good_jobs')).toEqual([null])
    await until(async () => (await batch.reload()).isSucceeded, 'the batch has succeeded')
    expect(await column('SELECT 1 FROM good_jobs WHERE batch_callback_id IS NOT NULL')).toHaveLength(2)
  } finally {
    await empty()
    await capsule.shutdown()
  }
})
