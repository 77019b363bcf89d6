import { Pool } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ConfigurationError, SessionRequiredError, sqlState } from '../src/errors.ts'
import { endConnection } from '../src/sql/connection/connection.ts'
import { pgConnection } from '../src/sql/connection/pg-connection.ts'
import { assertOwnBackend } from '../src/sql/connection/pooler.ts'
import { Capsule } from '../src/worker/capsule.ts'
import { runCli } from '../test/support/cli.ts'
import { FaultyNetwork } from '../test/support/faults.ts'
import { enqueue, jobClass, next, openWorld, performed, type World } from '../test/support/harness.ts'
import { createDatabase } from '../test/support/postgres.ts'
import { PgBouncer, type PoolerOptions } from './support/pgbouncer.ts'
import { describeWithPgBouncer } from './support/with-pgbouncer.ts'

describeWithPgBouncer('without a session', () => {
  let world: World
  beforeAll(async () => {
    world = await openWorld()
  })
  afterAll(() => world.close())

  const Plain = jobClass('Plain', () => undefined)

  /** The error of a worker's start with these options. */
  const startError = async (options: Partial<ConstructorParameters<typeof Capsule>[0]>): Promise<unknown> => {
    const capsule = new Capsule({ jobs: [Plain], batchSweepInterval: 0, ...options })
    try {
      await capsule.start()
      return 'started'
    } catch (error) {
      return error
    } finally {
      await capsule.shutdown()
    }
  }

  const POOLERS: readonly PoolerOptions[] = [
    { size: 1 },
    { size: 2 },
    { size: 20 },
    { size: 2, isRoundRobin: true },
    { size: 20, isRoundRobin: true },
    { mode: 'statement' },
  ]

  test.each(POOLERS)(
    'a worker refuses to start if its only connection leads through a pooler with %o',
    async (options) => {
      await using pooler = await PgBouncer.start(world.url, options)
      const error = await startError({ databaseUrl: pooler.url })
      expect(error).toBeInstanceOf(SessionRequiredError)
      expect(String(error)).toMatch(/through a pooler.*directDatabaseUrl \(GOOD_JOB_DIRECT_DATABASE_URL\)/)
    },
  )

  test('the check ends even if its second connection holds the only server process, and another one has served the first', async () => {
    await using pooler = await PgBouncer.start(world.url, { size: 1 })
    const config = { connectionString: pooler.url }
    const connection = pgConnection(config)
    await connection.connect()
    const ended = { pid: -1, backend_start: '' }
    await expect(assertOwnBackend(connection, ended, config)).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    await endConnection(connection)
  })

  test('a schema in the URL that the pooler drops is refused by workers and commands with an error that names it', async () => {
    await using pooler = await PgBouncer.start(world.url, { ignores: 'options' })
    const databaseUrl = `${pooler.url}?schema=tenant_b`
    const expected =
      /the schema in DATABASE_URL has no effect: the search_path is "\$user", public, not "tenant_b"\..*ALTER ROLE/
    const error = await startError({ databaseUrl, directDatabaseUrl: `${world.url}?schema=tenant_b` })
    expect(error).toBeInstanceOf(ConfigurationError)
    expect(String(error)).toMatch(expected)
    for (const command of [
      ['jobs', 'list'],
      ['schema', 'install'],
    ]) {
      const { code, stderr } = await runCli(command, { env: { DATABASE_URL: databaseUrl } })
      expect(stderr).toMatch(expected)
      expect(code).toBe(2)
    }
  })

  test('a schema in the URL that the pooler refuses leads to an error that says what to set instead', async () => {
    await using pooler = await PgBouncer.start(world.url, {})
    const { code, stderr } = await runCli(['jobs', 'list'], { env: { DATABASE_URL: `${pooler.url}?schema=tenant_b` } })
    expect(stderr).toMatch(/startup parameter.*\(08P01\)\. .*set the search_path of the user instead/)
    expect(code).toBe(1)
  })

  test('a pooler that other clients use at the same time is detected, too', async () => {
    await using pooler = await PgBouncer.start(world.url, { size: 6, isRoundRobin: true })
    const others = new Pool({ connectionString: pooler.url, max: 8 })
    let isOver = false
    const traffic = Array.from({ length: 8 }, async () => {
      while (!isOver) await others.query('SELECT 1')
    })
    const error = await startError({ databaseUrl: pooler.url })
    isOver = true
    await Promise.all(traffic)
    await others.end()
    expect(error).toBeInstanceOf(SessionRequiredError)
  })

  test('good-job start prints that and exits with the code of a usage error', async () => {
    await using pooler = await PgBouncer.start(world.url)
    const jobs = new URL('../test/fixtures/jobs/worker-jobs.mjs', import.meta.url).pathname
    const { code, stderr } = await runCli(['start', jobs], { env: { DATABASE_URL: pooler.url } })
    expect(stderr).toMatch(/leads through a pooler in transaction mode: server process/)
    expect(code).toBe(2)
  })

  test('a direct URL that leads to other tables is refused', async () => {
    const other = await createDatabase()
    try {
      const error = await startError({ databaseUrl: world.url, directDatabaseUrl: other.url })
      expect(String(error)).toMatch(/directDatabaseUrl .* leads to other tables than databaseUrl/)
    } finally {
      await other.drop()
    }
  })

  test.each(['transaction', 'session'] as const)(
    'a worker waits for a server that its pooler (pool_mode=%s) cannot reach at the start',
    async (mode) => {
      await using network = await FaultyNetwork.start(world.url)
      await using pooler = await PgBouncer.start(network.url, { mode, size: 20, waitSeconds: 1 })
      network.refuse()
      network.cut()
      const retried = next('connection_retry', 2, ({ error }) => sqlState(error) === '08P01')
      const direct = mode === 'transaction' ? { directDatabaseUrl: world.url } : {}
      const starting = world.start({ jobs: [Plain], databaseUrl: pooler.url, connectTimeout: 60, ...direct })
      await retried
      await network.accept()
      await using _worker = await starting
      const done = next('perform_job')
      await enqueue(Plain)
      await done
    },
  )

  test('a pooler in session mode works like a direct connection, until its mode changes', async () => {
    await using pooler = await PgBouncer.start(world.url, { mode: 'session', size: 20 })
    await using _worker = await world.start({ jobs: [Plain], databaseUrl: pooler.url })
    const done = next('perform_job')
    await enqueue(Plain)
    await done

    await pooler.reload({ mode: 'transaction', size: 20 })
    const refused = next('connection_retry', 1, ({ error }) => error instanceof SessionRequiredError)
    await world.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'GoodJob::Lane' AND datname = current_database()`,
    )
    await refused
    const id = await enqueue(Plain)

    const restored = next('lane_restored')
    const ended = performed(id)
    await pooler.reload({ mode: 'session', size: 20 })
    await restored
    await ended
  })
})
