import type { Queryable } from '../../../src/sql/connection/queryable.ts'
import type { Facts } from '../../../src/sql/database.ts'
/** Calls one function of `src/sql/` in one of its shapes. */
export interface Shape {
  /** Where its text is stored below `statements/`, without `.sql`. */
  readonly name: string
  /** The function that sends it, to find those that no shape covers. */
  readonly of: unknown
  /** Rows without which the function would send less. */
  readonly rows?: readonly string[]
  /** What the tables of GoodJob 4.0 change is seen in another shape of the same statement. */
  readonly isSameIn40?: boolean
  readonly send: (db: Queryable, facts: Facts) => Promise<unknown>
}
