/** Which column of a row shows that a scope counts it. */
export type ScopeKind = 'label' | 'key' | 'all'

/**
 * The condition of the rows that count as running: started, and held by a process. `num_nulls` keeps the planner off the indexes of
 * unfinished jobs; the index of locked_by_id holds the running ones only.
 */
export const IS_RUNNING = 'locked_by_id IS NOT NULL AND num_nulls(performed_at) = 0 AND num_nulls(finished_at) = 1'

/** The column and the value of a scope; `all` has no value. */
export const splitClaimKey = (claimKey: string): { readonly kind: ScopeKind; readonly value: string } => {
  const end = claimKey.indexOf(':')
  if (end < 0) return { kind: 'all', value: '' }
  return { kind: claimKey.slice(0, end) as ScopeKind, value: claimKey.slice(end + 1) }
}
