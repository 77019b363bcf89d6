import { setTimeout as sleep } from 'node:timers/promises'
import { Client, Pool, type PoolConfig } from 'pg'
import { inject } from 'vitest'
import { createDatabase as createOnServer, databaseName, dropDatabase } from '../../src/demo/postgres-databases.ts'

/** A database of one test file. */
export interface TestDatabase {
  readonly url: string
  /** A new pool; `drop()` ends it. */
  pool(config?: PoolConfig): Pool
  /** A new connection; `drop()` ends it. */
  connect(): Promise<Client>
  /** Ends its pools and connections, fails if another connection or a lock was left behind, and drops the database. */
  drop(): Promise<void>
}

/** The URL of the server of this run, for a test that wants the server itself. */
export const serverUrl = (): string => inject('postgresUrl')

/**
 * A new database on the server of this run: a clone of schema.sql's tables, or an empty one. For `beforeAll`, or at the top
 * of a test file; `afterAll(() => database.drop())` ends it.
 */
export const createDatabase = async (options: { template?: 'goodjob' | 'empty' } = {}): Promise<TestDatabase> => {
  const isEmpty = options.template === 'empty'
  const url = await createOnServer(serverUrl(), {
    prefix: 'good_job_test',
    ...(isEmpty ? {} : { template: inject('goodJobTemplate') }),
  })
  return testDatabase(url, async () => {
    try {
      await assertNoLeaks(url)
    } finally {
      await dropDatabase(serverUrl(), databaseName(url))
    }
  })
}

/** The database of this URL; `remove` is the last step of its `drop()`. */
export const testDatabase = (url: string, remove: () => Promise<void>): TestDatabase => {
  const open: (Pool | Client)[] = []
  return {
    url,
    pool: (config = {}) => {
      const pool = new Pool({ connectionString: url, ...config })
      // Without a listener an idle connection that the server ends would end the test process.
      pool.on('error', () => {})
      open.push(pool)
      return pool
    },
    connect: async () => {
      const client = new Client({ connectionString: url })
      client.on('error', () => {})
      await client.connect()
      open.push(client)
      return client
    },
    drop: async () => {
      await Promise.all(open.map((each) => (each instanceof Pool && each.ended ? undefined : each.end())))
      await remove()
    },
  }
}

interface Leak {
  readonly pid: number
  readonly application_name: string
  readonly state: string | null
  readonly query: string
  readonly advisory_locks: number
}

/** All other connections to the database, and the advisory locks they hold. */
const SELECT_LEAKS = `
  SELECT
    pg_stat_activity.pid,
    pg_stat_activity.application_name,
    pg_stat_activity.state,
    left(pg_stat_activity.query, 200) AS query,
    (
      SELECT count(*)::integer
      FROM pg_locks
      WHERE pg_locks.pid = pg_stat_activity.pid
      AND pg_locks.locktype = 'advisory'
    ) AS advisory_locks
  FROM pg_stat_activity
  WHERE pg_stat_activity.datname = current_database()
  AND pg_stat_activity.backend_type = 'client backend'
  AND pg_stat_activity.pid <> pg_backend_pid()`

/** Milliseconds that Postgres gets to end the backend of a closed connection. */
const GRACE_MS = 2_000

/** Fails if a session is still connected to the database of `url`, and lists its locks. */
export const assertNoLeaks = async (url: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const deadline = performance.now() + GRACE_MS
    for (;;) {
      const { rows } = await client.query<Leak>(SELECT_LEAKS)
      if (rows.length === 0) return
      if (performance.now() > deadline)
        throw new Error(`Left open at the end of the file:\n${rows.map(leakText).join('\n')}`)
      await sleep(10)
    }
  } finally {
    await client.end()
  }
}

const leakText = (leak: Leak): string =>
  `  backend ${leak.pid} "${leak.application_name}" ${leak.state}, ${leak.advisory_locks} advisory locks: ${leak.query}`
