import { Client, Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Job } from '../../src/job/base.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { inTurn } from '../support/clean-up.ts'
import { jobClass, next, until } from '../support/harness.ts'
import { type OwnServer, startOwnServer } from '../support/own-server.ts'

let server: OwnServer
let adapter: Adapter
let pool: Pool
beforeAll(async () => {
  server = await startOwnServer()
  pool = new Pool({ connectionString: server.url })
  pool.on('error', () => undefined)
  // The smallest queue, from Postgres 17 on: half a megabyte of messages.
  await pool.query('ALTER SYSTEM SET max_notify_queue_pages = 64')
  await server.stopServer('fast')
  await server.startServer()
  adapter = new Adapter({ databaseUrl: server.url })
  Job.queueAdapter = adapter
})
afterAll(
  inTurn(
    () => pool.end(),
    () => adapter.close(),
    () => server[Symbol.asyncDispose](),
  ),
)

/** A session that listens and does not end its transaction keeps all messages of the server; answers what ends it. */
const fillQueue = async () => {
  const listener = new Client({ connectionString: server.url })
  await listener.connect()
  await listener.query('LISTEN good_job')
  await listener.query('BEGIN')
  await listener.query('SELECT 1')
  for (;;) {
    const [error] = await pool
      .query(`SELECT pg_notify('other', repeat('x', 7000) || n) FROM generate_series(1, 20) AS n`)
      .then(
        () => [],
        (reason) => [reason],
      )
    if (error !== undefined) {
      expect(error).toMatchObject({ code: '54000' })
      break
    }
  }
  // The rest takes no message of ours either.
  while (
    await pool.query(`SELECT pg_notify('other', 'x')`).then(
      () => true,
      () => false,
    )
  );
  return () => listener.end()
}

const column = async (sql: string): Promise<unknown[]> =>
  (await pool.query({ text: sql, rowMode: 'array' })).rows.map(([value]) => value)

test('a full NOTIFY queue ends no job: retries and callbacks are written without their messages', async () => {
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
  const capsule = new Capsule({
    jobs: [RetryJob, EchoJob, CallbackJob],
    databaseUrl: server.url,
    batchSweepInterval: 0,
    pollInterval: 0.1,
  })
  await capsule.start()
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
