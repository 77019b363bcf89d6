import { until, type World } from './harness.ts'

/** Advisory locks in the database of `world`, as keys. */
export const advisoryLocks = async (world: World): Promise<string[]> =>
  (
    await world.sql<{ key: string }>(
      `SELECT ((classid::bigint << 32) | objid::bigint)::text AS key FROM pg_locks
       WHERE locktype = 'advisory' AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    )
  ).map(({ key }) => key)

/** Resolves when no session holds an advisory lock in the database of `world`. */
export const noLocks = (world: World): Promise<void> =>
  until(async () => (await advisoryLocks(world)).length === 0, 'no advisory lock')

/** Server processes of the sessions with this application_name in the database of `world`. */
export const backends = ({ sql }: World, name: string): Promise<{ pid: number; state: string }[]> =>
  sql('SELECT pid, state FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()', [name])

/** How many sessions in the database of `world` wait for a lock. */
export const blockedSessions = async ({ sql }: World): Promise<number> =>
  (await sql(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`)).length

/** Ends these sessions as an administrator does; they may still be on their way out when it resolves. */
export const terminate = async ({ sql }: World, name: string): Promise<void> => {
  await sql(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()',
    [name],
  )
}
