import type { Queryable } from '../../../src/sql/connection/queryable.ts'
import type { Facts } from '../../../src/sql/database.ts'
/** Calls one function of `src/sql/` in one of its shapes. */
export interface Shape {
  /** The path of its stored text below `statements/`, without `.sql`. */
  readonly name: string
  /** The function that sends the statement; functions without a shape are reported. */
  readonly of: unknown
  /** Rows without which the function would send fewer statements. */
  readonly rows?: readonly string[]
  /** The variant for the tables of GoodJob 4.0 is another shape of the same statement. */
  readonly isSameIn40?: boolean
  readonly send: (db: Queryable, facts: Facts) => Promise<unknown>
}
