import { endsSession, isCancelled, sqlState } from '../../errors.ts'
import { type EventMap, events } from '../../events.ts'
import { batchLockKey } from '../../sql/advisory-lock.ts'
import { tryLockBatch } from '../../sql/batch/batches.ts'
import { findSuspectBatches, type SweepPage, type SweptBatch } from '../../sql/batch/check.ts'
import { findBrokenAt, findOwedDiscards, type OwedDiscard } from '../../sql/batch/owed-discards.ts'
import { findSweepHolder, lockSweep, type SweepHolder, tryLockSweep } from '../../sql/batch/sweep-lock.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Database, Facts } from '../../sql/database.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import { timeAfter } from '../../time.ts'
import {
  type ApartChecks,
  announceChecks,
  announceRefusedChecks,
  type CheckedBatch,
  type CheckOptions,
  checkBatchesApart,
  type TouchedBatch,
} from './completion.ts'
import { needsProof } from './decision.ts'
import { SlowChecks } from './slow-checks.ts'

export interface SweepOptions {
  readonly database: Database
  readonly check: CheckOptions
  readonly processId: string
  /** Batches older than this are not read. */
  readonly windowMs: number
  /** A batch counts as hung after this time without activity. */
  readonly graceMs: number
  /** Batches that ended since this time are checked for a success callback beside a broken member. @default none */
  readonly endedSince?: string
  /** Limit for each statement of a check; half of the pool's query_timeout if that is shorter. @default 20 seconds */
  readonly checkTimeoutMs?: number
  /** Batches that earlier sweeps postponed because their check was slow. @default none */
  readonly slow?: SlowChecks
  readonly signal?: AbortSignal
}

export interface SweepResult {
  readonly checked: number
  readonly healed: number
  readonly unproven: number
  /** False when another process was sweeping. */
  readonly isDone: boolean
  /** That other process; undefined if it ended before it could be identified. */
  readonly heldBy?: SweepHolder
}

const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

/**
 * Recovers and completes batches whose last step happened in Ruby: owed success, hung batches, batches that never finish, discards that
 * were never written. Pages are read by one process at a time, because reading them is the expensive part. Each batch is repaired in a
 * transaction of its own under the batch lock, by the same check that outcomes run, whoever else sweeps. No lock outlives its transaction:
 * behind a pooler a session lock would stay after this process is gone.
 */
export const sweepBatches = async (options: SweepOptions): Promise<SweepResult> => {
  const { database, processId } = options
  const startedMs = performance.now()
  const facts = await database.facts()
  // One connection for the whole sweep: the pool may have only one.
  const result = await database.connection((db) => sweepPages(options, db, facts))
  const { isDone, heldBy: _, ...counts } = result
  if (isDone) events.emit('batch_sweep', { processId, ...counts, durationMs: performance.now() - startedMs })
  return result
}

/** What all steps of one sweep share. */
interface Sweep extends SweepOptions {
  readonly db: Queryable
  readonly facts: Facts
  readonly slow: SlowChecks
  readonly quietSince: string
}

type SweptAs = 'healed' | 'unproven' | 'healthy' | 'failed'

const sweepPages = async (options: SweepOptions, db: Queryable, facts: Facts): Promise<SweepResult> => {
  const { check, windowMs, graceMs, endedSince = null, slow = new SlowChecks(), signal } = options
  const now = check.clock.now().getTime()
  const createdAfter = timeAfter(now, -windowMs).toISOString()
  const quietSince = timeAfter(now, -graceMs).toISOString()
  const sweep: Sweep = { ...options, db, facts, slow, quietSince }
  let before = { createdAt: new Date(now + 86_400_000).toISOString(), id: LAST_ID }
  const result = { checked: 0, healed: 0, unproven: 0, isDone: true }
  const count = (outcome: SweptAs) => {
    result.checked += 1
    if (outcome === 'healed') result.healed += 1
    if (outcome === 'unproven') result.unproven += 1
  }
  for (let isFirst = true; !signal?.aborted; isFirst = false) {
    const page = await readPage(db, facts, { createdAfter, before, quietSince, endedSince }, { isFirst })
    if ('heldBy' in page) return { ...result, isDone: false, ...(page.heldBy && { heldBy: page.heldBy }) }
    for (const batch of page.batches) count(await sweepBatch(sweep, batch).catch(reportBatch(sweep, batch)))
    if (page.next === undefined) break
    before = page.next
  }
  if (signal?.aborted) return result
  const owed = await inTransaction(db, async () => {
    await lockSweep(db)
    return findOwedDiscards(db, facts, { createdAfter, quietSince })
  })
  for (const batch of owed) count(await sweepDiscard(sweep, batch).catch(reportBatch(sweep, batch)))
  return result
}

/** For the first page: if another process is sweeping, the sweep is left to that process. For later pages the lock is waited for. */
const readPage = (
  db: Queryable,
  facts: Facts,
  page: Parameters<typeof findSuspectBatches>[2],
  { isFirst }: { readonly isFirst: boolean },
): Promise<SweepPage | { readonly heldBy: SweepHolder | undefined }> =>
  inTransaction(db, async () => {
    if (!isFirst) await lockSweep(db)
    else if (!(await tryLockSweep(db))) return { heldBy: await findSweepHolder(db) }
    return findSuspectBatches(db, facts, page)
  })

const sweepBatch = async (sweep: Sweep, batch: SweptBatch): Promise<SweptAs> => {
  const { check, facts } = sweep
  const tellFalseSuccess = () => {
    if (batch.has_false_success && check.told.isNew(`false_success ${batch.id} ${batch.enqueued_at}`)) {
      events.emit('batch_false_success', { batchId: batch.id, description: batch.description })
    }
  }
  const reason = suspicion(facts, batch)
  if (reason === undefined) {
    tellFalseSuccess()
    return 'healthy'
  }
  return heal(sweep, batch, reason, {
    touched: async () => ({ id: batch.id }),
    // A success callback before a late discard was correct.
    onChecked: ({ proof }) => proof?.kind !== 'discarded_late' && tellFalseSuccess(),
  })
}

/** The discard was refused when the member broke, or the process died before writing it. */
const sweepDiscard = (sweep: Sweep, batch: OwedDiscard): Promise<SweptAs> =>
  heal(sweep, batch, 'owed_discard', {
    touched: async () => {
      const brokenAt = await findBrokenAt(sweep.db, sweep.facts, batch, sweep.quietSince)
      return brokenAt === undefined ? undefined : { id: batch.id, brokenAt }
    },
  })

const heal = async (
  { check, db, facts, slow, ...options }: Sweep,
  batch: { readonly id: string; readonly description: string | null },
  reason: EventMap['batch_healed']['reason'],
  how: {
    /** What to check, read under the batch lock; undefined when nothing is left to do. */
    readonly touched: () => Promise<TouchedBatch | undefined>
    /** Not called if the batch could not be checked: another session has its lock. */
    readonly onChecked?: (one: CheckedBatch) => void
  },
): Promise<SweptAs> => {
  if (slow.isPutOff(batch.id)) return 'failed'
  const { checked, refused } = await inTransaction(db, async (): Promise<ApartChecks> => {
    // The session that holds the lock checks the batch itself, or the next sweep does. The other batches do not wait for it.
    if (!(await tryLockBatch(db, batchLockKey(batch.id), checkTimeoutMs(options)))) return NONE_CHECKED
    const touched = await how.touched()
    return touched === undefined ? NONE_CHECKED : checkBatchesApart(db, facts, [touched], check)
  })
  if (checked.length + refused.length > 0) slow.forget(batch.id)
  const [one] = checked
  if (one !== undefined) how.onChecked?.(one)
  announceChecks(checked, check)
  for (const { isPassing, error } of refused) if (isPassing) throw error
  announceRefusedChecks(refused)
  if (refused.length > 0) return 'failed'
  if (one !== undefined && one.decision.steps.length > 0) {
    events.emit('batch_healed', { batchId: batch.id, description: batch.description, reason })
    return 'healed'
  }
  return one?.decision.unproven === undefined ? 'healthy' : 'unproven'
}

/** Postgres must cancel a check before the pool abandons the connection: without the connection the sweep would end. */
const checkTimeoutMs = ({
  database,
  checkTimeoutMs = 20_000,
}: Pick<SweepOptions, 'database' | 'checkTimeoutMs'>): number => {
  const patienceMs = Number((database.pool.options as { query_timeout?: number | string }).query_timeout)
  return patienceMs > 0 ? Math.max(1, Math.min(checkTimeoutMs, Math.floor(patienceMs / 2))) : checkTimeoutMs
}

const NONE_CHECKED: ApartChecks = { checked: [], refused: [] }

/**
 * An error that concerns one batch (a refused statement, another session's lock on its row, a check that takes too long) is reported and
 * the sweep continues. A lost connection or a full disk ends the sweep.
 */
const reportBatch =
  ({ processId, slow }: Sweep, batch: { readonly id: string }) =>
  (error: unknown): 'failed' => {
    if (isCancelled(error)) slow.putOff(batch.id)
    else if (endsSession(error) || sqlState(error) === undefined || /^(53|57|58)/.test(sqlState(error) ?? ''))
      throw error
    events.emit('worker_error', { processId, part: `batch sweep, batch ${batch.id}`, error })
    return 'failed'
  }

const suspicion = (facts: Facts, batch: SweptBatch): EventMap['batch_healed']['reason'] | undefined => {
  if (batch.has_open_member) return undefined
  if (needsProof(batch)) return 'owed_success'
  const jobsFinishedAt = facts.hasJobsFinishedAt ? batch.jobs_finished_at : batch.finished_at
  if (batch.enqueued_at !== null && jobsFinishedAt === null) return batch.is_quiet ? 'hung' : undefined
  if (jobsFinishedAt !== null && batch.finished_at === null && !batch.has_open_callback) return 'unfinished'
  return undefined
}
