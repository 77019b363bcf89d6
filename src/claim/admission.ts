import { endsSession, sqlState } from '../errors.ts'
import type { ClaimedRow } from '../sql/claim/claim.ts'
import {
  type AdmissionOptions,
  type AdmittedJob,
  abandonAdmission,
  beginAdmission,
  type LockedScope,
  startAdmitted,
} from '../sql/concurrency/admission.ts'
import { findStarts, type ScopeWindow } from '../sql/concurrency/starts.ts'
import type { Session } from '../sql/connection/session.ts'
import type { Facts } from '../sql/database.ts'
import type { LockLedger } from './lock-ledger.ts'

/** A scope in which jobs are to be started. */
export interface AdmissionScope extends LockedScope {
  /** The throttles whose starts are counted; classes may throttle one scope differently. */
  readonly windows: readonly ScopeWindow[]
}

/** The part of a lane that an admission uses during its turn. */
export interface AdmissionLane {
  readonly session: Session
  readonly locks: LockLedger
  readonly processId: string
  isReady(): boolean
  /** Resolves with undefined if the session was lost. */
  guard<T>(statement: Promise<T>): Promise<T | undefined>
  /** Locks that the session was to release were missing. */
  doubtLocks(missing: number): void
  endTurn(): void
}

export type AdmissionRequest = Omit<AdmissionOptions, 'runningIds' | 'processId'>

/** Postgres: the wait for a lock took longer than lock_timeout. */
const LOCK_NOT_AVAILABLE = '55P03'

/**
 * The open transaction of an admission. It holds the locks of its scopes, under which Ruby checks its limits, too, so the counts stay
 * true until it is closed by `start` or `abandon`. Meanwhile the lane does nothing else.
 */
export class Admission {
  /** Running jobs by scope; a scope without any is left out. */
  readonly running: ReadonlyMap<string, number>
  /** Starts within the window of each throttle, the newest first. */
  readonly starts: ReadonlyMap<ScopeWindow, readonly string[]>
  /** Claim keys of the scopes whose lock another session holds: nothing is known about their places. */
  readonly busy: ReadonlySet<string>
  readonly #lane: AdmissionLane
  readonly #facts: Facts

  private constructor(lane: AdmissionLane, facts: Facts, counts: Counts) {
    this.#lane = lane
    this.#facts = facts
    this.running = counts.running
    this.starts = counts.starts
    this.busy = counts.busy
  }

  /**
   * Called in the turn of the admission. The turn ends here unless an admission is returned. A transaction that enqueues a job may keep
   * the lock of a scope for long. Jobs of other scopes must not wait for it, so its scope is found out and counts as busy.
   */
  static async open(
    lane: AdmissionLane,
    scopes: readonly AdmissionScope[],
    readFacts: () => Promise<Facts>,
  ): Promise<Admission | undefined> {
    let admission: Admission | undefined
    try {
      admission =
        (await Admission.#tryToOpen(lane, scopes, readFacts)) ??
        (await Admission.#tryToOpen(lane, scopes.map(asBusy), readFacts))
      return admission
    } finally {
      if (admission === undefined) lane.endTurn()
    }
  }

  /** Returns undefined if the session is lost, or another session keeps the lock of a scope. */
  static async #tryToOpen(
    lane: AdmissionLane,
    scopes: readonly AdmissionScope[],
    readFacts: () => Promise<Facts>,
  ): Promise<Admission | undefined> {
    try {
      if (!lane.isReady()) return undefined
      const facts = await readFacts()
      const releaseKeys = lane.locks.takeReleasable()
      const counts = await lane.guard(lockAndCount(lane.session, facts, scopes, releaseKeys))
      lane.doubtLocks(counts?.missing ?? 0)
      return counts && new Admission(lane, facts, counts)
    } catch (error) {
      await rollBack(lane)
      if (sqlState(error) === LOCK_NOT_AVAILABLE && scopes.some(({ wasBusy }) => !wasBusy)) return undefined
      throw error
    }
  }

  /**
   * Starts these jobs and commits. Jobs that are no longer due or free are left out of the rows. The rows are empty if the session was
   * lost: the lane finds out whether the jobs were started.
   * @throws the error of Postgres; nothing was started then
   */
  async start(jobs: readonly AdmittedJob[], request: AdmissionRequest): Promise<readonly ClaimedRow[]> {
    const { session, locks, processId, guard, endTurn } = this.#lane
    const { now } = request
    try {
      const options = { ...request, processId, runningIds: locks.heldIds }
      const rows = await guard(startAdmitted(session, this.#facts, jobs, options))
      if (rows === undefined) locks.doubt(now)
      locks.hold(
        (rows ?? []).map(({ id }) => id),
        now,
      )
      return rows ?? []
    } catch (error) {
      // The advisory locks of jobs outlast the transaction; the guard has noted that this session may hold some.
      await rollBack(this.#lane)
      throw error
    } finally {
      endTurn()
    }
  }

  /** Ends the transaction without a start. */
  async abandon(): Promise<void> {
    await rollBack(this.#lane)
    this.#lane.endTurn()
  }
}

interface Counts {
  readonly running: ReadonlyMap<string, number>
  readonly starts: ReadonlyMap<ScopeWindow, readonly string[]>
  readonly busy: ReadonlySet<string>
  readonly missing: number
}

const asBusy = (scope: AdmissionScope): AdmissionScope => ({ ...scope, wasBusy: true })

const lockAndCount = async (
  session: Session,
  facts: Facts,
  scopes: readonly AdmissionScope[],
  releaseKeys: readonly string[],
): Promise<Counts> => {
  const counts = await beginAdmission(session, facts, scopes, releaseKeys)
  const windows = scopes.flatMap((scope) => scope.windows)
  return { ...counts, starts: await findStarts(session, facts, windows) }
}

/** Never rejects. A session that cannot even roll back is of no use: it is lost, or Postgres ends its transaction with it. */
const rollBack = async ({ session, guard }: AdmissionLane): Promise<void> => {
  const { end } = session
  try {
    await guard(abandonAdmission(session))
  } catch (error) {
    if (!endsSession(error)) session.abandon(error as Error, end)
  }
}
