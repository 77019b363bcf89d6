import { randomUUID } from 'node:crypto'
import { dirname } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ConfigurationError, ConnectionTimeoutError, QueueStringError, SchemaError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { Adapter } from '../../src/maintenance/adapter.ts'
import { upsertProcessText } from '../../src/sql/process/processes.ts'
import { installSchema } from '../../src/sql/schema/schema.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { Heartbeat } from '../../src/worker/heartbeat.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { jobClass, next, openWorld, performed, until, type World } from '../support/harness.ts'
import { createDatabase } from '../support/postgres.ts'

const Echo = jobClass('Echo', () => undefined)

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

const workOnce = async (url: string): Promise<void> => {
  const adapter = new Adapter({ databaseUrl: url })
  const capsule = new Capsule({ databaseUrl: url, jobs: [Echo], batchSweepInterval: 0 })
  await capsule.start()
  const job = new (Echo as unknown as new () => InstanceType<typeof Echo>)()
  const done = performed(job.jobId)
  await adapter.enqueue(job)
  await done
  await capsule.shutdown()
  await adapter.close()
}

describe('a worker refuses', () => {
  const refuse = (options: Record<string, unknown>) => () =>
    new Capsule({ databaseUrl: world.url, jobs: [Echo], ...options } as never)
  test('an unknown option, with a suggestion', () => {
    expect(refuse({ pollIntervall: 1 })).toThrow(/unknown option pollIntervall; did you mean pollInterval\?/)
  })
  test('an invalid option value, with the name of the option', () => {
    expect(refuse({ threads: 'many' })).toThrow(ConfigurationError)
  })
  test('a bad queue string', () => {
    expect(refuse({ queues: 'high:x' })).toThrow(QueueStringError)
    expect(refuse({ queues: 'high:x' })).toThrow(
      'queues: expected a whole number of at least 1 after ":", got "x" in "high:x"',
    )
  })
  test('an empty list of job classes, and two classes with the same name', () => {
    expect(refuse({ jobs: [] })).toThrow(/no job classes/)
    expect(refuse({ jobs: [Echo, jobClass('Echo', () => undefined)] })).toThrow(/Two job classes have the name "Echo"/)
  })
  test('a value that is no list of job classes, with its type', () => {
    const { url: databaseUrl } = world
    const make = (options?: unknown) => () => new Capsule(options as never)
    const list = /^jobs is the list of the job classes to run, such as jobs: \[MailJob\]; /
    for (const options of [undefined, {}, { databaseUrl }, 'postgres://localhost/app']) {
      expect(make(options)).toThrow(list)
      expect(make(options)).toThrow(/it is missing$/)
    }
    expect(refuse({ jobs: {} })).toThrow(/got \{\}$/)
    expect(refuse({ jobs: Echo })).toThrow(/got \[class /)
  })
  abstract class EmptyJob extends Job {}
  test('an entry of the list that is no job class, with its position and type', () => {
    expect(refuse({ jobs: [Echo, new (Echo as never as new () => object)()] })).toThrow(/^jobs\[1\] is an instance of/)
    expect(refuse({ jobs: [() => {}] })).toThrow(/^jobs\[0\] is not a job class: the function/)
    expect(refuse({ jobs: [undefined] })).toThrow(/^jobs\[0\] is undefined: .*no two modules import each other/)
    expect(refuse({ jobs: [EmptyJob] })).toThrow(/EmptyJob cannot be run: it has no perform method/)
  })
  test('a missing database, and an invalid URL without repeating its password', () => {
    expect(() => new Adapter({ databaseUrl: '' })).toThrow(/DATABASE_URL/)
    expect(() => new Adapter({ databaseUrl: 'postgres://user:pass#word@localhost:port/db' })).toThrow(
      ConfigurationError,
    )
    expect(() => new Adapter({ databaseUrl: 'postgres://user:pass#word@localhost:port/db' })).not.toThrow(/pass#word/)
  })
  test('a database without the tables, with the command that creates them', async () => {
    const empty = await createDatabase({ template: 'empty' })
    const capsule = new Capsule({ databaseUrl: empty.url, jobs: [Echo] })
    await expect(capsule.start()).rejects.toThrow(SchemaError)
    await expect(capsule.start()).rejects.toThrow(/good-job schema install/)
    expect(capsule.state).toBe('created')
    await empty.drop()
  })
  test('rows of GoodJob 3 [GJ-007]', async () => {
    const id = await world.insert({ job_class: 'Old', is_discrete: false })
    await expect(new Capsule({ databaseUrl: world.url, jobs: [Echo] }).start()).rejects.toThrow(/GoodJob 3/)
    await world.sql('DELETE FROM good_jobs WHERE id = $1', [id])
  })
  test('a role that may only read', async () => {
    await world.sql(
      `DO $$ BEGIN CREATE ROLE only_reads LOGIN PASSWORD 'x'; EXCEPTION WHEN duplicate_object THEN NULL; END $$`,
    )
    await world.sql('GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reads')
    const url = new URL(world.url)
    url.username = 'only_reads'
    url.password = 'x'
    await expect(new Capsule({ databaseUrl: url.href, jobs: [Echo] }).start()).rejects.toThrow(/permission denied/)
    await world.sql('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM only_reads')
  })
})

test('a worker waits for Postgres, emits connection_retry, and fails after the connect timeout', async () => {
  await using network = await FaultyNetwork.start(world.url)
  network.refuse()
  const firstFailure = next('connection_retry')
  const hopeless = new Capsule({ databaseUrl: network.url, jobs: [Echo], connectTimeout: 0.3 })
  await expect(hopeless.start()).rejects.toThrow(ConnectionTimeoutError)
  expect((await firstFailure)[0]).toMatchObject({ part: 'start', attempt: 1 })
  const retried = next('connection_retry', 2)
  const patient = new Capsule({ databaseUrl: network.url, jobs: [Echo], connectTimeout: 20, batchSweepInterval: 0 })
  const started = patient.start()
  await retried
  await network.accept()
  await started
  expect(patient.state).toBe('running')
  await patient.shutdown()
})

test('a worker whose host name does not resolve names the host as the cause, not the server', async () => {
  const databaseUrl = 'postgres://user@no-such-host.invalid/app'
  const capsule = new Capsule({ databaseUrl, jobs: [Echo], connectTimeout: 0.3 })
  const fault = await capsule.start().catch((error: unknown) => error)
  expect(fault).toBeInstanceOf(ConnectionTimeoutError)
  expect((fault as Error).message).toMatch(/no-such-host\.invalid\. The name of the host cannot be resolved/)
})

test('a query timeout beyond 24.8 days works as a long timeout, not as one millisecond', async () => {
  const url = new URL(world.url)
  url.searchParams.set('query_timeout', String(30 * 86_400_000))
  const adapter = new Adapter({ databaseUrl: url.href })
  const { rows } = await adapter.database.pool.query(`SELECT 'late' AS answer FROM pg_sleep(0.05)`)
  expect(rows).toEqual([{ answer: 'late' }])
  await adapter.close()
})

test('a worker connects with a percent-encoded password', async () => {
  const password = `p@ss:w/o#r?d&% é'"`
  await world.sql(`DO $$ BEGIN CREATE ROLE special LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$`)
  await world.sql(`ALTER ROLE special PASSWORD '${password.replaceAll("'", "''")}'`)
  const url = new URL(world.url)
  url.username = 'special'
  url.password = encodeURIComponent(password)
  await workOnce(url.href)
})

test('a worker connects over a Unix socket', async () => {
  const [row] = await world.sql<{ directory: string }>(
    `SELECT split_part(current_setting('unix_socket_directories'), ',', 1) AS directory`,
  )
  const { port, username, password, pathname } = new URL(world.url)
  expect(dirname(`${row?.directory}/x`)).toBe(row?.directory)
  await workOnce(
    `postgres://${username}:${password}@/${pathname.slice(1)}?host=${encodeURIComponent(row?.directory ?? '')}&port=${port}`,
  )
})

test('a worker finds tables in another schema by search_path', async () => {
  await world.sql('CREATE SCHEMA jobs')
  const tables = await world.sql<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relname LIKE 'good_job%' AND relnamespace = 'public'::regnamespace`,
  )
  for (const { name } of tables) await world.sql(`ALTER TABLE ${name} SET SCHEMA jobs`)
  const url = new URL(world.url)
  url.searchParams.set('options', '-c search_path=jobs')
  await workOnce(url.href)
  for (const { name } of tables) await world.sql(`ALTER TABLE jobs.${name} SET SCHEMA public`)
})

test('a worker with ?schema=… in its URL: claims, LISTEN, deferred rounds and the thread of its heartbeat find its tables', async () => {
  const tenants = await createDatabase({ template: 'empty' })
  const sql = async (text: string, ...values: unknown[]) => (await tenants.pool().query(text, values)).rows
  await sql('CREATE SCHEMA tenant_b')
  const databaseUrl = `${tenants.url}?schema=tenant_b`
  const installing = new Adapter({ databaseUrl })
  await installSchema(installing.database.pool)
  await installing.close()
  const seen: unknown[] = []
  const SeenJob = jobClass('SeenJob', async (job) => {
    seen.push(...(await sql('SELECT performed_at FROM tenant_b.good_jobs WHERE id = $1', job.jobId)))
  })
  await using capsule = new Capsule({
    databaseUrl,
    jobs: [SeenJob],
    deferStart: 5_000,
    pollInterval: -1,
    batchSweepInterval: 0,
  })
  await capsule.start()
  const { adapter, processId } = capsule
  const job = new (SeenJob as unknown as new () => InstanceType<typeof SeenJob>)()
  const done = performed(job.jobId)
  await adapter.enqueue(job)
  await done
  // Within its round the row of a job is unchanged.
  expect(seen).toEqual([{ performed_at: null }])
  expect(await sql('SELECT process_id, error FROM tenant_b.good_job_executions')).toEqual([
    { process_id: processId, error: null },
  ])
  expect(await sql('SELECT id FROM tenant_b.good_job_processes')).toEqual([{ id: processId }])
  const beating = randomUUID()
  const heartbeat = new Heartbeat({
    config: adapter.database.clientConfig('GoodJob::Process'),
    statement: upsertProcessText(await adapter.database.facts()),
    processId: beating,
    intervalMs: 100,
    state: () => '{}',
  })
  heartbeat.start()
  const isThere = async () => (await sql('SELECT FROM tenant_b.good_job_processes WHERE id = $1', beating)).length === 1
  await until(isThere, 'the thread has beaten')
  await heartbeat.stop()
  await capsule.shutdown()
  await tenants.drop()
})

test('times in timestamptz columns are right in sessions of any time zone [GJ-005]', async () => {
  const columns = await world.sql<{ table: string; column: string }>(
    `SELECT table_name AS table, column_name AS column FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name LIKE 'good_job%' AND data_type = 'timestamp without time zone'`,
  )
  for (const { table, column } of columns)
    await world.sql(`ALTER TABLE ${table} ALTER ${column} TYPE timestamptz USING ${column} AT TIME ZONE 'UTC'`)
  const url = new URL(world.url)
  url.searchParams.set('options', '-c timezone=Asia/Tokyo')
  await workOnce(url.href)
  const [row] = await world.sql<{ far: number }>(
    `SELECT max(abs(extract(epoch FROM now() - created_at)) + abs(extract(epoch FROM now() - finished_at)))::float8 AS far FROM good_jobs WHERE finished_at > now() - interval '1 minute'`,
  )
  expect(row?.far).toBeLessThan(60)
})
