import type { Pool } from 'pg'
import { CALLBACKS, type CallbackCount } from './callbacks.ts'
import { HISTORIES } from './histories.ts'
import {
  ATTEMPTS,
  COUNTS,
  EARLY_ATTEMPTS,
  LOST,
  OPEN_EXECUTIONS,
  OVERLAPS,
  type Pairs,
  REPEATED,
  SHARED_ATTEMPTS,
  SPOILT,
} from './job-counts.ts'
import { LEDGER_TABLES } from './ledger.ts'
import { SCOPE_USES, type ScopeUse } from './limits.ts'
import { RERUNS, type Rerun } from './reruns.ts'

export interface Verdict {
  readonly jobs: number
  readonly attempts: Readonly<Record<string, number>>
  /** Those of jobs that either side may run. */
  readonly sharedAttempts: Readonly<Record<string, number>>
  readonly interrupted: number
  /** Jobs without an end, or that no attempt has done. */
  readonly lost: number
  /** Jobs that have succeeded, but whose rows Ruby workers left as discarded. */
  readonly spoilt: number
  readonly overlaps: readonly Pairs[]
  /** Attempts after a success that was written. */
  readonly repeated: readonly Pairs[]
  readonly early: Readonly<Record<string, number>>
  readonly scopes: readonly ScopeUse[]
  readonly callbacks: readonly CallbackCount[]
  /** Executions of ended jobs that were never closed, by side; without those that two Ruby workers disturbed. */
  readonly openExecutions: Readonly<Record<string, number>>
  readonly histories: readonly string[]
  readonly reruns: readonly Rerun[]
}

const TABLES = ['fleet_attempts', 'fleet_actions', 'fleet_deaths', 'fleet_faults', 'fleet_workers'] as const

/** Copies the ledger into the database of the jobs, where both can be compared. */
export const copyLedger = async (ledger: Pool, pool: Pool): Promise<void> => {
  await pool.query(LEDGER_TABLES)
  for (const table of TABLES) {
    const { rows } = await ledger.query<{ text: string | null }>(`SELECT json_agg(t)::text AS text FROM ${table} t`)
    const text = rows[0]?.text ?? '[]'
    await pool.query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [text])
  }
}

/** Compares the ledger with the tables, after `prepareRuns`. `wanted`: ids of jobs whose rows must exist. */
export const judge = async (pool: Pool, wanted: readonly string[]): Promise<Verdict> => {
  const rows = async <T extends object>(text: string, values: unknown[] = []): Promise<T[]> =>
    (await pool.query<T & Record<string, unknown>>(text, values)).rows
  const bySide = async (text: string) =>
    Object.fromEntries((await rows<{ side: string; count: number }>(text)).map(({ side, count }) => [side, count]))
  const counts = await rows<{ jobs: number; interrupted: number }>(COUNTS)
  return {
    jobs: counts[0]?.jobs ?? 0,
    interrupted: counts[0]?.interrupted ?? 0,
    attempts: await bySide(ATTEMPTS),
    sharedAttempts: await bySide(SHARED_ATTEMPTS),
    lost: (await rows(LOST, [wanted])).length,
    spoilt: (await rows(SPOILT)).length,
    overlaps: await rows<Pairs>(OVERLAPS),
    repeated: await rows<Pairs>(REPEATED),
    early: await bySide(EARLY_ATTEMPTS),
    scopes: await rows<ScopeUse>(SCOPE_USES),
    callbacks: await rows<CallbackCount>(CALLBACKS),
    openExecutions: await bySide(OPEN_EXECUTIONS),
    histories: (await rows<{ text: string }>(HISTORIES)).map(({ text }) => text),
    reruns: await rows<Rerun>(RERUNS),
  }
}
