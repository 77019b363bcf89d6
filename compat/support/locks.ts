import { Client } from 'pg'
import { eventually } from './eventually.ts'

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

/** Several gates on one connection, for a test with many of them. */
export class Gates implements AsyncDisposable {
  readonly #client: Client

  private constructor(client: Client) {
    this.#client = client
  }

  static async connect(databaseUrl: string): Promise<Gates> {
    return new Gates(await connect(databaseUrl))
  }

  async shut(name: string): Promise<void> {
    await this.#client.query('SELECT pg_advisory_lock(hashtextextended($1, 1450))', [name])
  }

  /** Resolves when so many jobs wait at the gates that are shut. */
  async untilWaiters(count: number): Promise<void> {
    await eventually(`${count} jobs wait at the gates`, async () => (await countWaiters(this.#client)) === count)
  }

  /** Opens these gates at the same moment. */
  async open(...names: string[]): Promise<void> {
    const unlock = 'SELECT pg_advisory_unlock(hashtextextended(name, 1450)) FROM unnest($1::text[]) AS name'
    await this.#client.query(unlock, [names])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end()
  }
}

/** Holds up the bookkeeping of a batch in every process. */
export const holdBatch = (databaseUrl: string, batchId: string): Promise<HeldLock> =>
  hold(databaseUrl, BATCH_KEY, batchId)

const hold = async (databaseUrl: string, selectKey: string, name: string): Promise<HeldLock> => {
  const client = await connect(databaseUrl)
  const { rows } = await client.query<{ key: string }>(selectKey, [name])
  await client.query('SELECT pg_advisory_lock($1)', [rows[0]?.key])
  let ending: Promise<void> | undefined
  return {
    waiters: () => countWaiters(client),
    release: () => {
      ending ??= client.end()
      return ending
    },
  }
}

/** How many sessions wait for the advisory locks of this one. */
const countWaiters = async (client: Client): Promise<number> =>
  (await client.query<{ waiters: number }>(COUNT_WAITERS)).rows[0]?.waiters ?? 0

const connect = async (databaseUrl: string): Promise<Client> => {
  const client = new Client({ connectionString: databaseUrl })
  client.on('error', () => {}) // The database is dropped at the end of a file, whatever a failed test left.
  await client.connect()
  return client
}
