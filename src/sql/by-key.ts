/**
 * Equality that only a look into the index of `column` can answer. A plain one lets the planner read the whole index in its order, for a
 * merge: over an empty table that seems as good, and it stays the plan of a prepared statement while the table grows.
 */
export const byKey = (column: string, key: string): string => `${column} = ANY (ARRAY[${key}])`
