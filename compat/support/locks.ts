import { Client } from 'pg'

/** An advisory lock that a test holds, so that other sessions wait for it. */
export interface HeldLock {
  /** The number of sessions that wait for it. */
  waiters(): Promise<number>
  /** Releases it: the waiting sessions continue in their order of arrival. */
  release(): Promise<void>
}

/** $1 name of the gate. The same key as in rails/app/models/gate.rb and node-jobs.ts */
const GATE_KEY = 'SELECT hashtextextended($1, 1450)::text AS key'

/** $1 batch id. GoodJob's own key of the lock around the batch bookkeeping. */
const BATCH_KEY = `SELECT ('x' || substr(md5('good_job_batches-' || $1), 1, 16))::bit(64)::bigint::text AS key`

const COUNT_WAITERS = `
  SELECT count(*)::integer AS waiters
  FROM pg_locks AS waiting
  JOIN pg_locks AS held USING (locktype, database, classid, objid, objsubid)
  WHERE held.pid = pg_backend_pid() AND held.granted AND NOT waiting.granted AND locktype = 'advisory'`

/** Shuts the gate of a job: it waits there, in the middle of its work, until the gate is released. */
export const shutGate = (databaseUrl: string, name: string): Promise<HeldLock> => hold(databaseUrl, GATE_KEY, name)

/** Holds up the bookkeeping of a batch in every process. */
export const holdBatch = (databaseUrl: string, batchId: string): Promise<HeldLock> =>
  hold(databaseUrl, BATCH_KEY, batchId)

const hold = async (databaseUrl: string, selectKey: string, name: string): Promise<HeldLock> => {
  const client = new Client({ connectionString: databaseUrl })
  client.on('error', () => {}) // The database is dropped at the end of a file, whatever a failed test left.
  await client.connect()
  const { rows } = await client.query<{ key: string }>(selectKey, [name])
  await client.query('SELECT pg_advisory_lock($1)', [rows[0]?.key])
  let ending: Promise<void> | undefined
  return {
    waiters: async () => (await client.query<{ waiters: number }>(COUNT_WAITERS)).rows[0]?.waiters ?? 0,
    release: () => {
      ending ??= client.end()
      return ending
    },
  }
}
