/** The jobs that a rule counts. GoodJob 4.23.1 concurrency.rb#query_scope. */
export interface Scope {
  /** `label:<label>`, `key:<key>` or `all`: GoodJob's claim key, and the identity of the scope. */
  readonly claimKey: string
  /** The text whose hash is the advisory lock of the scope: `label:<label>`, `<key>` or `all`. */
  readonly lockName: string
}

export const ALL_JOBS: Scope = Object.freeze({ claimKey: 'all', lockName: 'all' })

/** The scope of the jobs with this label, which is stripped and not empty. */
export const labelScope = (label: string): Scope => ({ claimKey: `label:${label}`, lockName: `label:${label}` })

/** The scope of the jobs with this concurrency_key. */
export const keyScope = (key: string): Scope => ({ claimKey: `key:${key}`, lockName: key })
