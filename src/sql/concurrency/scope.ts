/** Which column of a row shows that a scope counts it. */
export type ScopeKind = 'label' | 'key' | 'all'

/** The column and the value of a scope; `all` has no value. */
export const splitClaimKey = (claimKey: string): { readonly kind: ScopeKind; readonly value: string } => {
  const end = claimKey.indexOf(':')
  if (end < 0) return { kind: 'all', value: '' }
  return { kind: claimKey.slice(0, end) as ScopeKind, value: claimKey.slice(end + 1) }
}
