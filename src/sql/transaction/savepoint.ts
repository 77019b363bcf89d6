import { isRefusal } from '../../errors.ts'
import type { Queryable } from '../connection/queryable.ts'

/** What became of work that may be refused without harm to its transaction. */
export type Tried<T> =
  | { readonly isRefused: false; readonly value: T }
  | { readonly isRefused: true; readonly error: unknown }

/**
 * Makes the transaction that is open on `db` one in which work may be refused. What is left to the COMMIT otherwise (deferred constraints) is
 * checked with each statement from here on, so that its refusal is known by then.
 */
export const openSavepoint = async (db: Queryable): Promise<void> => {
  await db.query({ text: 'SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT attempt' })
}

const KEEP = 'RELEASE SAVEPOINT attempt; SAVEPOINT attempt'
const UNDO = 'ROLLBACK TO SAVEPOINT attempt'

/**
 * Runs `work` after `openSavepoint`: what it wrote stays, unless Postgres refuses it. @throws whatever leaves the transaction useless: a lost
 * session, a deadlock, a statement that took too long.
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

/** Runs `work` after `openSavepoint` and undoes it; answers whether Postgres would have taken it. */
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

/** No statement of this transaction waits longer than this for a lock. */
export const limitLockWaits = async (db: Queryable, limitMs: number): Promise<void> => {
  await db.query({ text: "SELECT set_config('lock_timeout', $1, true)", values: [String(limitMs)] })
}
