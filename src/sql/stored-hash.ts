/**
 * Returns an expression for the integer under a key of a stored hash; null for anything else. Any program may have written the
 * hash, and a cast that fails would fail the whole statement, for every other row as well.
 */
export const integerIn = (hash: string, key: 'executions'): string =>
  `CASE WHEN ${hash}->>'${key}' ~ '^[0-9]{1,9}$' THEN (${hash}->>'${key}')::int END`

/**
 * Returns an expression for the priority in a stored hash, converted to an integer as Ruby's column does: text by its leading
 * digits, "high" is 0. `otherwise` replaces a value that no integer column holds.
 */
export const priorityIn = (hash: string, otherwise: string): string => `CASE
        WHEN coalesce(${hash}->>'priority', '') !~ '^\\s*[-+]?[0-9]' THEN 0
        WHEN ${hash}->>'priority' ~ '^\\s*[-+]?0*[0-9]{1,9}(?![0-9])' THEN substring(${hash}->>'priority' FROM '^\\s*([-+]?[0-9]+)')::int
        ELSE ${otherwise}
      END`
