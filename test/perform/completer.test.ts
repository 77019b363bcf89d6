import { randomBytes } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { FaultyNetwork } from '../support/faults.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record, until } from '../support/harness.ts'
import { advisoryLocks, terminate } from '../support/sessions.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => {})

test('outcomes that wait for a row while their session is terminated are written once by the next session [GJ-089]', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob] })
  const id = await enqueue(GateJob)
  await gate.entered
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [id])
  gate.open()
  await until(
    async () =>
      (
        await world.sql(
          `SELECT FROM pg_stat_activity WHERE application_name = 'GoodJob::Completer' AND wait_event_type = 'Lock' AND datname = current_database()`,
        )
      ).length === 1,
    'the flush waits for the row',
  )
  const failed = next('outcome_write_failed')
  await terminate(world, 'GoodJob::Completer')
  expect((await failed)[0]).toMatchObject({ jobs: 1, attempt: 1 })
  expect(await advisoryLocks(world)).toHaveLength(1)
  const done = performed(id)
  await holder.query('ROLLBACK')
  await holder.end()
  await done
  expect(await world.job(id)).toMatchObject({ error: null, locked_by_id: null })
  expect(await world.executions(id)).toMatchObject([{ error: null }])
})

test.each([
  ['kept', true],
  ['deleted', false],
])(
  'an outcome whose answer was lost is written once and emitted as written: a job that is %s',
  async (_name, preserveJobRecords) => {
    await using network = await FaultyNetwork.start(world.url)
    await using _capsule = await world.start({ jobs: [EchoJob], databaseUrl: network.url, preserveJobRecords })
    await performed(await enqueue(EchoJob))
    const lost = network.loseAnswer('GoodJob::Completer', /finish_jobs|delete_jobs|WITH outcome/)
    const done = next('perform_job')
    const id = await enqueue(EchoJob)
    await lost
    expect((await done)[0]).toMatchObject({ jobId: id, outcome: 'succeeded' })
    expect(await world.executions(id)).toHaveLength(preserveJobRecords ? 1 : 0)
  },
)

test('a written outcome whose row another worker has claimed since is not written again', async () => {
  await using network = await FaultyNetwork.start(world.url)
  const RetryJob = jobClass(
    'RetryJob',
    (job) => {
      if (job.executions === 1) throw new Error('once')
    },
    (made) => made.retryOn(Error, { wait: 0, attempts: 2 }),
  )
  await using _capsule = await world.start({ jobs: [RetryJob], databaseUrl: network.url, queues: 'a' })
  await using _other = await world.start({ jobs: [RetryJob], queues: 'b' })
  const lost = network.loseAnswer('GoodJob::Completer', /reenqueue_jobs|is_notified/)
  const ends = next('perform_job', 2)
  const id = await enqueue(RetryJob, { queue: 'a' })
  await lost
  expect((await ends).map(({ outcome }) => outcome).sort()).toEqual(['retried', 'succeeded'])
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2 })
  expect((await world.executions(id)).map(({ error_event }) => error_event)).toEqual([3, null])
})

test('an outcome waits for a lock longer than the statement_timeout of the database [GJ-089]', async () => {
  const [database] = await world.sql<{ name: string }>('SELECT quote_ident(current_database()) AS name')
  await world.sql(`ALTER DATABASE ${database?.name} SET statement_timeout = '150ms'`)
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using _capsule = await world.start({ jobs: [GateJob] })
  await world.sql(`ALTER DATABASE ${database?.name} RESET statement_timeout`)
  const id = await enqueue(GateJob)
  await gate.entered
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  await holder.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [id])
  const failures = record('outcome_write_failed')
  const done = performed(id)
  gate.open()
  await holder.query('SELECT pg_sleep(0.4)')
  await holder.query('ROLLBACK')
  await holder.end()
  expect((await done)[0]).toMatchObject({ outcome: 'succeeded' })
  expect(failures.seen).toEqual([])
  failures.stop()
  expect(await world.job(id)).toMatchObject({ error: null })
})

test('an outcome waits while its role may not connect, and does not count as refused [GJ-089]', async () => {
  const role = `worker_${randomBytes(4).toString('hex')}`
  await world.sql(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD 'x'`)
  const url = new URL(world.url)
  url.username = role
  url.password = 'x'
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const capsule = await world.start({ jobs: [GateJob], databaseUrl: url.href })
  const id = await enqueue(GateJob)
  await gate.entered
  await world.sql(`ALTER ROLE ${role} NOLOGIN`)
  await terminate(world, 'GoodJob::Completer')
  const failed = next('outcome_write_failed', 2)
  const done = performed(id)
  gate.open()
  await failed
  await world.sql(`ALTER ROLE ${role} LOGIN`)
  expect((await done)[0]).toMatchObject({ outcome: 'succeeded' })
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1 })
  await capsule.shutdown()
  await world.sql(`DROP ROLE ${role}`)
})

test('an outcome that Postgres refuses affects its own row only, and stores the reason there', async () => {
  const long = randomBytes(6_000).toString('base64')
  const refused: Record<string, (job: InstanceType<typeof EchoJob>) => unknown> = {
    label: (job) => job.retryJob({ wait: 0, labels: [long] } as never),
    queue: (job) => job.retryJob({ wait: 0, queue: long }),
  }
  const MixedJob = jobClass('MixedJob', (job, ...[kind]: string[]) => refused[kind ?? '']?.(job))
  await using _capsule = await world.start({ jobs: [MixedJob], threads: 30 })
  const kinds = Array.from({ length: 30 }, (_, index) => (index === 7 ? 'label' : index === 13 ? 'queue' : 'fine'))
  const done = next('perform_job', 30)
  await world.adapter.enqueueAll(kinds.map((kind) => new (MixedJob as never as new (kind: string) => never)(kind)))
  await done
  const rows = await world.sql<{ kind: string; error: string | null; finished_at: Date | null }>(
    `SELECT serialized_params->'arguments'->>0 AS kind, error, finished_at FROM good_jobs`,
  )
  expect(rows.filter(({ finished_at }) => finished_at === null)).toEqual([])
  const failed = rows.filter(({ error }) => error !== null)
  expect(failed.map(({ kind }) => kind).sort()).toEqual(['label', 'queue'])
  for (const { error } of failed)
    expect(error).toMatch(/^StandardError: the outcome of this attempt \(retried\) could not be stored: index row/)
})

test('error texts of any size and with characters that Postgres cannot store are stored with their backtrace [GJ-053, GJ-054]', async () => {
  const messages = ['a\u0000b', '\uD800', 'x'.repeat(20_000_000), '', 'line\nbreak: with: colons', '😀']
  const BadJob = jobClass('BadJob', (_job, ...[index]: number[]) => {
    throw new Error(messages[index ?? 0])
  })
  await using _capsule = await world.start({ jobs: [BadJob], threads: 10 })
  const done = next('perform_job', messages.length)
  await world.adapter.enqueueAll(
    messages.map((_, index) => new (BadJob as never as new (index: number) => never)(index)),
  )
  await done
  const rows = await world.sql<{ index: number; error: string; backtrace: string[] }>(
    `SELECT (good_jobs.serialized_params->'arguments'->>0)::int AS index, good_jobs.error, error_backtrace AS backtrace
     FROM good_jobs JOIN good_job_executions ON good_job_executions.active_job_id = good_jobs.id ORDER BY 1`,
  )
  expect(rows[2]?.error).toHaveLength('StandardError: '.length + 20_000_000)
  expect(rows.map(({ error }) => error.slice(0, 40))).toEqual([
    'StandardError: a\uFFFDb',
    'StandardError: \uFFFD',
    `StandardError: ${'x'.repeat(25)}`,
    'StandardError: Error',
    'StandardError: line\nbreak: with: colons',
    'StandardError: 😀',
  ])
  for (const { backtrace } of rows) expect(backtrace[0]).toMatch(/completer\.test\.ts/)
}, 60_000)

test('a claim of rows with out-of-range numbers starts these rows and the others', async () => {
  const absurd = [
    await world.insert({ executions_count: 2_147_483_647 }),
    await world.insert({ executions_count: -2_147_483_648 }),
    await world.insert({ performed_at: 'infinity' }),
    await world.insert({ performed_at: '-infinity' }),
    await world.insert({ performed_at: '4000-01-01 00:00:00 BC' }),
    await world.insert({ created_at: 'infinity', scheduled_at: '-infinity' }),
    await world.insert({ labels: [], concurrency_key: '' }),
  ]
  const plain = await world.insert()
  const failures = record('claim_failed')
  const done = performed(plain, ...absurd)
  await using _capsule = await world.start({ jobs: [EchoJob], threads: 20 })
  await Promise.race([done, next('claim_failed')])
  expect(failures.seen.map(({ error }) => String(error))).toEqual([])
  await done
  failures.stop()
})

test('a retry sets created_at to its own time, or keeps it with the scheduled_at order [GJ-057]', async () => {
  const RetryJob = jobClass(
    'RetryJob',
    () => {
      throw new Error('again')
    },
    (made) => made.retryOn(Error, { wait: 3_600, attempts: 5 }),
  )
  for (const [dequeueQuerySort, stays] of [
    ['created_at', false],
    ['scheduled_at', true],
  ] as const) {
    // Enqueued before the worker reads its clock for a claim.
    const id = await enqueue(RetryJob)
    const { created_at: before } = await world.job(id)
    const isDone = performed(id)
    await using _capsule = await world.start({ jobs: [RetryJob], dequeueQuerySort })
    await isDone
    const [job] = await world.sql(
      `SELECT good_jobs.created_at, good_jobs.created_at BETWEEN attempt.created_at AND attempt.finished_at AS is_of_the_attempt
       FROM good_jobs JOIN good_job_executions AS attempt ON attempt.active_job_id = good_jobs.id WHERE good_jobs.id = $1`,
      [id],
    )
    expect(job).toEqual({ created_at: stays ? before : expect.any(Date), is_of_the_attempt: !stays })
  }
})

test('a retry keeps labels, batch, cron key and unknown keys of the hash, and sends a NOTIFY message', async () => {
  const RetryJob = jobClass(
    'RetryJob',
    () => {
      throw new Error('again')
    },
    (made) => made.retryOn(Error, { wait: 3_600, attempts: 5, queue: 'later', priority: 7 }),
  )
  const id = await world.insert({
    job_class: 'RetryJob',
    labels: ['a', 'b'],
    cron_key: 'daily',
    cron_at: '2026-01-31 12:00:00',
    serialized_params: `{"job_class":"RetryJob","arguments":[12345678901234567890],"executions":0,"exception_executions":{},"unknown":{"n":1e400}}`,
  })
  const before = await world.job(id)
  const done = performed(id)
  await using _capsule = await world.start({ jobs: [RetryJob] })
  await done
  const { labels, cron_key, cron_at, queue_name, priority, error_event } = await world.job(id)
  expect({ labels, cron_key, cron_at, queue_name, priority, error_event }).toEqual({
    labels: before.labels,
    cron_key: 'daily',
    cron_at: before.cron_at,
    queue_name: 'later',
    priority: 7,
    error_event: 3,
  })
  const [params] = await world.sql(
    `SELECT serialized_params->'arguments'->>0 AS argument, length(serialized_params->'unknown'->>'n') AS digits, serialized_params->>'queue_name' AS queue,
       serialized_params->>'priority' AS priority FROM good_jobs`,
  )
  expect(params).toEqual({ argument: '12345678901234567890', digits: 401, queue: 'later', priority: '7' })
})
