import { isRefusal } from '../../errors.ts'
import type { Queryable } from '../connection/queryable.ts'

/** The result of work that Postgres may refuse without harm to its transaction. */
export type Tried<T> =
  | { readonly isRefused: false; readonly value: T }
  | { readonly isRefused: true; readonly error: unknown }

/**
 * Prepares the transaction that is open on `db` for work that may be refused. Deferred constraints, otherwise checked at COMMIT,
 * are checked with each statement from here on, so that a refusal is known at once.
 */
export const openSavepoint = async (db: Queryable): Promise<void> => {
  await db.query({ text: 'SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT attempt' })
}

const KEEP = 'RELEASE SAVEPOINT attempt; SAVEPOINT attempt'
const UNDO = 'ROLLBACK TO SAVEPOINT attempt'

/**
 * Runs `work` after `openSavepoint`: its writes stay, unless Postgres refuses one. @throws any error that leaves the transaction
 * useless: a lost session, a deadlock, a statement that took too long
 */
export const inSavepoint = async <T>(db: Queryable, work: () => Promise<T>): Promise<Tried<T>> => {
  try {
    const value = await work()
    await db.query({ text: KEEP })
    return { isRefused: false, value }
  } catch (error) {
    if (!isRefusal(error)) throw error
    await db.query({ text: UNDO })
    return { isRefused: true, error }
  }
}

/** Runs `work` after `openSavepoint` and undoes it; returns whether Postgres would have accepted it. */
export const rehearse = async (db: Queryable, work: () => Promise<unknown>): Promise<boolean> => {
  let isTaken = true
  try {
    await work()
  } catch (error) {
    if (!isRefusal(error)) throw error
    isTaken = false
  }
  await db.query({ text: UNDO })
  return isTaken
}

/** Limits how long each statement of this transaction waits for a lock. */
export const limitLockWaits = async (db: Queryable, limitMs: number): Promise<void> => {
  await db.query({ text: "SELECT set_config('lock_timeout', $1, true)", values: [String(limitMs)] })
}
