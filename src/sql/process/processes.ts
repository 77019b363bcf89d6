import { countOf, type Queryable, rowsOf } from '../connection/queryable.ts'
import { type Facts, serverNow } from '../database.ts'
import { inactive } from './dead.ts'

/**
 * Creates or refreshes a process row. GoodJob process.rb: lock_type stays NULL, which means "alive while updated_at is younger than
 * five minutes". The time is the server's. If a process used its own clock and that were minutes off, it would be considered dead,
 * or would consider other processes dead.
 *
 * $1 id uuid · $2 state jsonb
 */
export const upsertProcessText = (facts: Pick<Facts, 'timestampType'>): string => `
INSERT INTO good_job_processes (id, state, created_at, updated_at)
VALUES ($1, $2::jsonb, ${serverNow(facts)}, ${serverNow(facts)})
ON CONFLICT (id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at, lock_type = NULL`

export const upsertProcess = async (
  db: Queryable,
  facts: Facts,
  process: { readonly id: string; readonly state: string },
): Promise<void> => {
  await countOf(db, { text: upsertProcessText(facts), values: [process.id, process.state] })
}

/** $1 id uuid */
const REMOVE_PROCESS = `
WITH released AS (
  UPDATE good_jobs SET locked_by_id = NULL WHERE locked_by_id = $1::uuid
)
DELETE FROM good_job_processes WHERE id = $1::uuid`

/** Ends a process cleanly: releases its jobs and deletes its row. */
export const removeProcess = async (db: Queryable, processId: string): Promise<void> => {
  await countOf(db, { text: REMOVE_PROCESS, values: [processId] })
}

const deletingProcessesText = (facts: Facts) => `
SELECT id::text, state->>'hostname' AS hostname, state->>'pid' AS pid
FROM good_job_processes
WHERE NOT (${inactive(facts)})
  AND coalesce(state->>'preserve_job_records', 'true') <> 'true'
LIMIT 1`

export interface ProcessName {
  readonly id: string
  readonly hostname: string | null
  readonly pid: string | null
}

/** Returns a live process that deletes finished jobs, or undefined. */
export const findDeletingProcess = async (db: Queryable, facts: Facts): Promise<ProcessName | undefined> => {
  const rows = await rowsOf<ProcessName & Record<string, unknown>>(db, {
    text: deletingProcessesText(facts),
  })
  return rows[0]
}
