import { LedgerJob, type SharedJob } from './jobs.ts'

/** How a class is limited: by its concurrency key, by a label, or by both. */
export const KINDS = ['Key', 'Label', 'Both'] as const
export type Kind = (typeof KINDS)[number]

/** Jobs of a scope that may run at a time. */
export const LIMITS = [1, 3] as const
export type Limit = (typeof LIMITS)[number]

export interface LimitedClass {
  readonly kind: Kind
  readonly limit: Limit
  readonly jobClass: typeof SharedJob
  /** The scopes that count its jobs. */
  readonly scopes: readonly string[]
}

/** A class that exists in both languages, compat/rails/app/jobs/fleet.rb. */
const limitedClass = (kind: Kind, limit: Limit): LimitedClass => {
  const name = `fleet-${limit}`
  const isByKey = kind !== 'Label'
  const isByLabel = kind !== 'Key'
  class LimitedJob extends LedgerJob {
    static override jobClass = `Fleet::${kind}${limit}Job`
    static override queueAs = 'limited'
    static override labels = isByLabel ? [name] : []
    static {
      if (isByKey) LimitedJob.controlConcurrencyWith({ key: name, performLimit: limit })
      if (isByLabel) LimitedJob.concurrencyRule({ label: name, performLimit: limit })
    }
  }
  const scopes = [...(isByKey ? [`key:${name}`] : []), ...(isByLabel ? [`label:${name}`] : [])]
  return { kind, limit, jobClass: LimitedJob, scopes }
}

/** Jobs of the kind 'Both' share the scopes of the others. */
export const LIMITED_CLASSES: readonly LimitedClass[] = LIMITS.flatMap((limit) =>
  KINDS.map((kind) => limitedClass(kind, limit)),
)
