import {
  announceChecks,
  type CheckedBatch,
  type CheckOptions,
  checkBatches,
  lockTouchedBatches,
  type TouchedBatch,
} from '../../batch/completion/completion.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import {
  deleteJobs,
  finishJobs,
  reenqueueJobs,
  releaseClaims,
  rerunJobs,
  type UnwrittenClaim,
  type WrittenRow,
} from '../../sql/outcome/outcomes.ts'
import { inTransaction } from '../../sql/transaction/read-committed.ts'
import { freePlacesOf } from './freed-places.ts'
import { brokenAt, type Outcome, type OutcomeWrite, type SettledAs } from './outcome.ts'

export interface OutcomeContext {
  readonly facts: Facts
  readonly processId: string
  /** With GoodJob's scheduled_at order a retry keeps created_at. */
  readonly keepsCreatedAt: boolean
  /** Whether workers are notified of jobs that become due because a place is freed. */
  readonly notifies: boolean
  readonly check: CheckOptions
  /** Called with committed outcomes that free places in the scopes of concurrency rules. */
  readonly onFreed?: ((outcomes: readonly Outcome[]) => void) | undefined
}

/** What became of each outcome of a flush. */
export type Settlement = ReadonlyMap<Outcome, SettledAs>

export interface Written {
  readonly settlement: Settlement
  /** Batches that jobs of this flush joined while they ran: their locks were not taken. */
  readonly joined: ReadonlyMap<Outcome, string>
  /** Outcomes that, with their checks, were committed before; only the result of that write had been lost. */
  readonly repeated: ReadonlySet<Outcome>
  /** Outcomes that free a place of a concurrency rule, as far as their write shows. */
  readonly freeing: readonly Outcome[]
}

/**
 * Writes many outcomes. Outcomes of jobs outside any batch that need one kind of write need no explicit transaction: a single
 * statement is one. Otherwise the batch locks come first, then the rows, then the check, all in one transaction.
 */
export const writeOutcomes = async (
  db: Queryable,
  outcomes: readonly Outcome[],
  context: OutcomeContext,
): Promise<Settlement> => {
  const batchIds = new Set(outcomes.flatMap(batchesOf))
  const kinds = new Set(outcomes.map(({ write }) => write))
  const isOneStatement = batchIds.size === 0 && kinds.size === 1
  const written = isOneStatement
    ? await writeRows(db, outcomes, context)
    : await writeWithChecks(db, outcomes, batchIds, context)
  const placed = written.freeing.filter(({ claimKeys }) => claimKeys.length > 0)
  if (placed.length > 0) context.onFreed?.(placed)
  if (written.joined.size > 0) await checkJoined(db, written, context)
  await freePlacesOf(db, written.freeing, context)
  return written.settlement
}

const writeWithChecks = async (
  db: Queryable,
  outcomes: readonly Outcome[],
  batchIds: ReadonlySet<string>,
  context: OutcomeContext,
): Promise<Written> => {
  let checked: CheckedBatch[] = []
  const written = await inTransaction(db, async () => {
    if (batchIds.size > 0) await lockTouchedBatches(db, batchIds)
    const rows = await writeRows(db, outcomes, context)
    const touched = touchedBatches(rows, batchIds, ({ row }) => row.batch_id)
    if (batchIds.size > 0) checked = await checkBatches(db, context.facts, touched, context.check)
    return rows
  })
  announceChecks(checked, context.check)
  return written
}

/**
 * Checks the batches that jobs joined while they ran, right after their outcomes. After a crash in between, the sweep recovers such
 * a batch. If the lock cannot be had, the outcome counts as unwritten and is passed here once more.
 */
const checkJoined = async (db: Queryable, written: Written, context: OutcomeContext): Promise<void> => {
  const batchIds = new Set(written.joined.values())
  const touched = touchedBatches(written, batchIds, (outcome) => written.joined.get(outcome) ?? null)
  const checked = await inTransaction(db, async () => {
    await lockTouchedBatches(db, batchIds)
    return checkBatches(db, context.facts, touched, context.check)
  })
  announceChecks(checked, context.check)
}

export const batchesOf = ({ row }: Outcome): string[] =>
  [row.batch_id, row.batch_callback_id].filter((id) => id !== null)

/** A callback job that breaks is not a broken member. A repeated outcome is left out: its member may have recovered since. */
export const touchedBatches = (
  { settlement, repeated }: Written,
  batchIds: ReadonlySet<string>,
  memberOf: (outcome: Outcome) => string | null,
): TouchedBatch[] => {
  const broken = new Map<string, string>()
  for (const [outcome, as] of settlement) {
    const at = as === 'written' && !repeated.has(outcome) ? brokenAt(outcome) : undefined
    const batchId = memberOf(outcome)
    if (at === undefined || batchId === null) continue
    const earlier = broken.get(batchId)
    if (earlier === undefined || at < earlier) broken.set(batchId, at)
  }
  return [...batchIds].map((id) => ({ id, brokenAt: broken.get(id) }))
}

/** Writes the rows of these outcomes. Call it with the locks of their batches held. */
export const writeRows = async (
  db: Queryable,
  outcomes: readonly Outcome[],
  context: OutcomeContext,
): Promise<Written> => {
  const written = new Map<string, WrittenRow>()
  for (const kind of ['finish', 'delete', 'rerun', 'reenqueue'] as const) {
    const ofKind = outcomes.filter(({ write }) => write === kind)
    if (ofKind.length === 0) continue
    for (const row of await writeKind(db, kind, ofKind, context)) written.set(row.id, row)
  }
  const unwritten = outcomes.filter(({ row }) => !written.has(row.id))
  const rest = unwritten.length > 0 ? await settleUnwritten(db, unwritten, context) : NONE_UNWRITTEN
  const joined = new Map<Outcome, string>()
  for (const outcome of outcomes) {
    const batchId = (written.get(outcome.row.id) ?? rest.get(outcome))?.batch_id ?? null
    if (batchId !== null && batchId !== outcome.row.batch_id) joined.set(outcome, batchId)
  }
  const settlement = new Map(
    outcomes.map(
      (outcome) => [outcome, written.has(outcome.row.id) ? 'written' : (rest.get(outcome)?.as ?? 'lost')] as const,
    ),
  )
  const repeated = new Set(unwritten.filter((outcome) => rest.get(outcome)?.as === 'written'))
  const freeing = outcomes.filter(
    (outcome) =>
      outcome.claimKeys.length > 0 ||
      (written.get(outcome.row.id)?.frees_place ?? (rest.get(outcome)?.as ?? 'lost') !== 'lost'),
  )
  return { settlement, joined, repeated, freeing }
}

interface Settled {
  readonly as: SettledAs
  readonly batch_id: string | null
}

const NONE_UNWRITTEN: ReadonlyMap<Outcome, Settled> = new Map()

const writeKind = (
  db: Queryable,
  kind: Exclude<OutcomeWrite, 'release'>,
  outcomes: readonly Outcome[],
  { facts, processId, keepsCreatedAt, check }: OutcomeContext,
): Promise<WrittenRow[]> => {
  const writer = { processId, now: check.clock.timestamp() }
  const rows = outcomes.map(({ columns }) => columns)
  switch (kind) {
    case 'finish':
      return finishJobs(db, facts, writer, rows)
    case 'delete':
      return deleteJobs(db, facts, writer, rows)
    case 'rerun':
      return rerunJobs(db, facts, writer, rows)
    case 'reenqueue':
      return reenqueueJobs(db, facts, writer, rows, { keepsCreatedAt })
    default:
      return kind satisfies never
  }
}

/**
 * Settles outcomes whose fence did not hold. Either another session finished the row (a force-discard, which stands; the lock
 * columns are cleared), or an earlier write of this process succeeded although its result was lost, or the job no longer belongs to
 * this process.
 */
const settleUnwritten = async (
  db: Queryable,
  outcomes: readonly Outcome[],
  { facts, processId }: OutcomeContext,
): Promise<ReadonlyMap<Outcome, Settled>> => {
  const claims = await releaseClaims(
    db,
    facts,
    processId,
    outcomes.map(({ columns }) => columns),
  )
  const byId = new Map(claims.map((claim) => [claim.id, claim]))
  return new Map(
    outcomes.map((outcome) => {
      const claim = byId.get(outcome.row.id)
      return [outcome, { as: settledAs(outcome, claim), batch_id: claim?.batchId ?? null }]
    }),
  )
}

const settledAs = (outcome: Outcome, claim: UnwrittenClaim | undefined): SettledAs => {
  if (claim?.isReleased) return 'released'
  if (claim?.isGone && outcome.write === 'delete') return 'written'
  const isWritten =
    claim?.executionFinishedAt != null && sameInstant(claim.executionFinishedAt, outcome.columns.finishedAt)
  return isWritten ? 'written' : 'lost'
}

/** Postgres drops trailing zeros of the fraction. */
const sameInstant = (a: string, b: string): boolean => normal(a) === normal(b)
const normal = (text: string): string => {
  const [whole = '', fraction = ''] = text.replace('Z', '').split('.')
  return `${whole}.${fraction.padEnd(6, '0')}`
}
