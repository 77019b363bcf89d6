import type { Scope } from '../../job/concurrency/scopes.ts'
import { advisoryKey } from '../advisory-lock.ts'
import { type Queryable, rowsOf } from '../connection/queryable.ts'
import { plainArray } from '../text.ts'

/** $1 keys bigint[]. A client may be unable to read a column of type void. */
const LOCK_SCOPES = 'SELECT pg_advisory_xact_lock(key)::text AS locked FROM unnest($1::bigint[]) AS key'

/**
 * Takes GoodJob's lock of each scope until the end of the transaction. Every caller takes locks in the order of their numbers, and GoodJob
 * takes one at a time, so no two of them wait for each other. Count in another statement: the snapshot of this one is older than its locks.
 */
export const lockScopes = async (db: Queryable, scopes: readonly Scope[]): Promise<void> => {
  const keys = scopeLockKeys(scopes.map(({ lockName }) => lockName))
  await rowsOf(db, { text: LOCK_SCOPES, values: [plainArray(keys)] })
}

/** The same as statements for the message that begins a transaction. */
export const scopeLockTexts = (scopes: readonly Pick<Scope, 'lockName'>[]): string[] =>
  scopeLockKeys(scopes.map(({ lockName }) => lockName)).map((key) => `SELECT pg_advisory_xact_lock('${key}'::bigint)`)

/** The keys of the locks of scopes, each once, in the order in which every session takes them. */
export const scopeLockKeys = (lockNames: readonly string[]): string[] =>
  [...new Set(lockNames.map(advisoryKey))].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
