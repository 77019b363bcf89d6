import { isRefusal } from '../errors.ts'
import type { Queryable } from './types.ts'

/** What became of work that may be refused without harm to its transaction. */
export type Tried<T> =
  | { readonly isRefused: false; readonly value: T }
  | { readonly isRefused: true; readonly error: unknown }

/**
 * Runs `work` in a savepoint of the transaction that is open on `db`: what it wrote stays, unless Postgres refuses it. @throws whatever
 * leaves the transaction useless: a lost session, a deadlock, a statement that took too long.
 */
export const inSavepoint = async <T>(db: Queryable, work: () => Promise<T>): Promise<Tried<T>> => {
  await db.query({ text: 'SAVEPOINT attempt' })
  try {
    const value = await work()
    await db.query({ text: 'RELEASE SAVEPOINT attempt' })
    return { isRefused: false, value }
  } catch (error) {
    if (!isRefusal(error)) throw error
    await db.query({ text: UNDO })
    return { isRefused: true, error }
  }
}

/** Runs `work` in a savepoint and undoes it; answers whether Postgres would have taken it. */
export const rehearse = async (db: Queryable, work: () => Promise<unknown>): Promise<boolean> => {
  await db.query({ text: 'SAVEPOINT attempt' })
  try {
    await work()
    return true
  } catch (error) {
    if (!isRefusal(error)) throw error
    return false
  } finally {
    await db.query({ text: UNDO })
  }
}

const UNDO = 'ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt'

/** Checks what is left to the COMMIT otherwise with each statement of this transaction, so that its refusal is known by then. */
export const checkConstraintsAtOnce = async (db: Queryable): Promise<void> => {
  await db.query({ text: 'SET CONSTRAINTS ALL IMMEDIATE' })
}

/** No statement of this transaction waits longer than this for a lock. */
export const limitLockWaits = async (db: Queryable, limitMs: number): Promise<void> => {
  await db.query({ text: "SELECT set_config('lock_timeout', $1, true)", values: [String(limitMs)] })
}
