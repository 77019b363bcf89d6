import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { explanationLines } from '../../src/cli/jobs/why.ts'
import type { JobExplanation } from '../../src/maintenance/why/reasons.ts'
import { advisoryKey } from '../../src/sql/advisory-lock.ts'
import { runCli, runJson } from '../support/cli.ts'
import { ago, openWorld, type Row } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(async () => {
  for (const table of ['good_jobs', 'good_job_processes', 'good_job_settings', 'good_job_concurrency_claims'])
    await world.sql(`DELETE FROM ${table}`)
})

const goodJob = (...args: string[]) => runCli(args, { env: { DATABASE_URL: world.url } })
const whyOf = async (id: string): Promise<string> => {
  const { code, stdout, stderr } = await goodJob('jobs', 'why', id)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

const WORKER = randomUUID()
const addWorker = (state: Row = {}, updatedAt = ago(1)) =>
  world.sql('INSERT INTO good_job_processes (id, created_at, updated_at, state) VALUES ($1, $2, $2, $3)', [
    WORKER,
    updatedAt,
    { hostname: 'web-1', pid: 7, schedulers: [{ queues: '*' }], ...state },
  ])
const addNodeWorker = (...classes: string[]) =>
  addWorker({ good_job_node: { job_classes: classes, enable_pauses: true } })
const OWNED = { locked_by_id: WORKER, locked_at: ago(60), performed_at: ago(60), executions_count: 2 }

test.each<[string, () => Promise<unknown>, Row, RegExp]>([
  [
    'succeeded',
    async () => undefined,
    { finished_at: ago(60), executions_count: 1 },
    /^It succeeded at \S+ \S+ UTC \(1 min ago\), in attempt 1\.\n$/,
  ],
  [
    'discarded',
    async () => undefined,
    { finished_at: ago(60), executions_count: 3, error: 'TypeError: no' },
    /^It was discarded at .* \(1 min ago\), as attempt 3 failed: TypeError: no\nTo run it again: good-job jobs retry \S+\n$/,
  ],
  [
    'discarded by a person',
    async () => undefined,
    { finished_at: ago(60), error: 'GoodJob::Job::DiscardJobError: Wrong tenant' },
    /^A person discarded it at .*, after 0 attempts: GoodJob::Job::DiscardJobError: Wrong tenant\n/,
  ],
  ['running', addNodeWorker, OWNED, /^Process web-1:7 is running attempt 2, since .* \(1 min ago\)\.\n$/],
  [
    'running, but silent',
    () => addWorker({}, ago(180)),
    OWNED,
    /\nThe process has been silent since .* \(3 min ago\)\. After five minutes it counts as dead/,
  ],
  [
    'claimed',
    addNodeWorker,
    { ...OWNED, performed_at: null },
    /^Process web-1:7 has claimed it for attempt 3 and has not started it yet\.\n$/,
  ],
  [
    'claimed by a dead process',
    () => addWorker({}, ago(400)),
    OWNED,
    /^Process web-1:7 claimed it and is dead: its last heartbeat was at .* \(7 min ago\)\.\nThe first worker that starts releases it/,
  ],
  ['scheduled', addNodeWorker, { scheduled_at: ago(-7200) }, /^It is scheduled for .* UTC \(in 2 h\)\.\n$/],
  [
    'retried',
    addNodeWorker,
    { scheduled_at: ago(-7200), error: 'TypeError: no', executions_count: 2 },
    /^It waits for attempt 3 at .* \(in 2 h\)\. The last attempt failed: TypeError: no\n$/,
  ],
  [
    'paused',
    async () => {
      await addNodeWorker('EchoJob')
      await world.adapter.pause({ queue: 'default' })
    },
    {},
    /^Queue "default" is paused\.\nThere is 1 live worker of this job with --enable-pauses\.\n$/,
  ],
  [
    'paused, which no live worker honours',
    async () => {
      await addWorker({ good_job_node: { job_classes: ['EchoJob'], enable_pauses: false } })
      await world.adapter.pause({ queue: 'default' })
    },
    {},
    /^It is due .*\nQueue "default" is paused, but no live worker of this job honours pauses: it starts all the same\.\n$/,
  ],
  ['without a worker', async () => undefined, {}, /^No worker process is alive\.\n/],
  [
    'of a queue without a worker',
    () => addWorker({ schedulers: [{ queues: 'mail' }] }),
    {},
    /^No live worker serves queue "default"\.\nThe live workers serve "mail"\.\n$/,
  ],
  [
    'of a class that no worker has',
    () => addNodeWorker('OtherJob'),
    {},
    /^No live worker of queue "default" has class EchoJob\.\nThe workers of that queue: web-1:7\.\n$/,
  ],
  [
    'due',
    () => addNodeWorker('EchoJob'),
    { performed_at: ago(60) },
    /^It is due since .* UTC \(.* ago\), and waits for its turn: no due job of queue "default" is before it\.\nIts last attempt was interrupted; it starts again\.\n$/,
  ],
  [
    'due to Ruby workers',
    addWorker,
    {},
    /\nOnly Ruby workers serve the queue\. They do not publish their classes: check whether they have EchoJob\.\n$/,
  ],
])('a job is %s', async (_, prepare, columns, text) => {
  await prepare()
  expect(await whyOf(await world.insert(columns))).toMatch(text)
})

test('why and show print which jobs hold the places of a full key, and when a throttle allows the next start', async () => {
  const rule = { job_class: 'EchoJob', counts: 'key', value: 'one', is_control: true, limit: 1, throttle: null }
  const addRule = (changes: Row) =>
    addWorker({ good_job_node: { job_classes: ['EchoJob'], concurrency_rules: [{ ...rule, ...changes }] } })
  await addRule({})
  const holder = await world.insert({ ...OWNED, concurrency_key: 'one' })
  const id = await world.insert({ concurrency_key: 'one' })
  const text = `It waits for a free place: 1 job of key:one runs, and the limit is 1.`
  expect(await whyOf(id)).toMatch(
    new RegExp(`^${text}\nJob ${holder} has a place, in process web-1:7 since .* \\(\\d min ago\\)\\.\n$`),
  )
  const { stdout } = await goodJob('jobs', 'show', id)
  expect(stdout).toContain(`why         ${text}\n`)
  expect(stdout).toContain('key         one\n')
  expect(await runJson(world.url, 'jobs', 'show', id)).toMatchObject({ why: { reason: 'concurrency_full' } })
  expect(await runJson(world.url, 'jobs', 'show', holder)).toMatchObject({ why: null })

  await world.sql('DELETE FROM good_job_processes')
  await addRule({ limit: null, throttle: { count: 1, seconds: 600 } })
  await world.sql('INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, $2, $2)', [
    holder,
    ago(60),
  ])
  expect(await whyOf(id)).toMatch(
    /^It waits for the throttle of key:one, 1 start in 600 s, which allows the next start at .* \(in \d min\)\.\n$/,
  )
})

test('why prints that a concurrency rule refuses a job', async () => {
  await addWorker()
  const id = await world.insert()
  await world.sql(
    `INSERT INTO good_job_concurrency_claims (job_id, key, state, created_at, updated_at) VALUES ($1, 'key:tenant', 0, $2, $2)`,
    [id, ago(60)],
  )
  expect(await whyOf(id)).toMatch(
    /^A concurrency rule of GoodJob refused it at .* \(1 min ago\)\. It waits for a free place under "key:tenant"\.\n$/,
  )
})

test('why prints the session that holds the advisory lock of a job, and how to end it', async () => {
  const id = await world.insert()
  const holder = await world.database.connect()
  const { rows } = await holder.query('SELECT pg_backend_pid() AS pid, pg_advisory_lock($1)', [
    advisoryKey(`good_jobs-${id}`),
  ])
  const text = await whyOf(id)
  expect(text).toMatch(new RegExp(`^Session ${rows[0].pid} \\(no application_name.*\\) holds its advisory lock`))
  expect(text).toContain(`SELECT pg_terminate_backend(${rows[0].pid});`)
  await holder.end()
})

test('why prints the owner of an abandoned job and the same command as doctor, after which the job is due', async () => {
  const id = await world.insert({ ...OWNED, lock_type: 1 })
  const text = await whyOf(id)
  expect(text).toMatch(
    new RegExp(`^It is locked since .* by process ${WORKER}, which has no row, .* \\(lock type skiplocked\\)\\.\n`),
  )
  expect(text).toContain('No Node worker is alive to release it. When you know that its process is gone:')
  const release = `good-job jobs release ${id}`
  expect([text, (await goodJob('doctor')).stdout]).toEqual([
    expect.stringContaining(release),
    expect.stringContaining(release),
  ])
  expect(await goodJob(...release.split(' ').slice(1))).toMatchObject({ code: 0 })
  expect(await whyOf(id)).toMatch(/^No worker process is alive/)
})

test('why --json prints the reason with its fields in snake_case', async () => {
  await addWorker()
  const id = await world.insert({ queue_name: 'mail' })
  const { code, stdout } = await goodJob('jobs', 'why', id, '--json')
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toEqual({
    reason: 'due',
    since: expect.stringMatching(/Z$/),
    queue: 'mail',
    job_class: 'EchoJob',
    jobs_before: 0,
    is_capped: false,
    is_interrupted: false,
    may_lack_class: true,
    job_id: id,
    clock_ahead_seconds: null,
    ignored_pause: null,
  })
})

test('why prints that a job does not exist, with exit code 1', async () => {
  const id = randomUUID()
  expect(await goodJob('jobs', 'why', id)).toMatchObject({
    code: 1,
    stdout: expect.stringContaining(`There is no job ${id} in this database.`),
    stderr: '',
  })
  const { code, stdout } = await goodJob('jobs', 'why', id, '--json')
  expect({ code, ...JSON.parse(stdout) }).toMatchObject({ code: 1, reason: 'missing', job_id: id })
  expect(await goodJob('jobs', 'why', 'nonsense')).toMatchObject({ code: 2 })
})

test('the text of why has the number of jobs before the job, ages by the clock of the server, and a differing clock', () => {
  const explanation: JobExplanation = {
    reason: 'scheduled',
    at: new Date('2026-01-31T12:01:00Z'),
    jobId: randomUUID(),
    clockAheadSeconds: 3600,
    ignoredPause: null,
  }
  expect(explanationLines(explanation, new Date('2026-01-31T13:00:00Z'))).toEqual([
    'It is scheduled for 2026-01-31 12:01:00 UTC (in 1 min).',
    expect.stringContaining("The clock of this machine is 1 h ahead of the server's."),
  ])
  const due = { reason: 'due', since: explanation.at, queue: 'mail', jobClass: 'MailJob', jobsBefore: 1 } as const
  const more = {
    jobId: explanation.jobId,
    isInterrupted: false,
    mayLackClass: false,
    clockAheadSeconds: null,
    ignoredPause: null,
  }
  const dueText = (jobsBefore: number, isCapped: boolean) =>
    explanationLines({ ...due, ...more, jobsBefore, isCapped }, explanation.at)[0]
  expect(dueText(1, false)).toContain('its turn: 1 due job of queue "mail" is before it.')
  expect(dueText(2, false)).toContain('its turn: 2 due jobs of queue "mail" are before it.')
  expect(dueText(10_000, true)).toContain('its turn: 10000 or more due jobs of queue "mail" are before it.')
  const behind = explanationLines({ ...explanation, clockAheadSeconds: -42 }, new Date('2026-01-31T12:00:00Z'))
  expect(behind[1]).toContain("is 42 s behind the server's")
})
