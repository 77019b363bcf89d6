import { jobLockKeySql } from '../advisory-lock.ts'
import type { Parameters } from '../text.ts'

/** The jobs that a worker must not start without a place under their concurrency rules. */
export interface LimitedJobs {
  /** 'read': a claim returns them beside the jobs that it starts; 'only': it starts none; 'skip': it leaves them out. */
  readonly claim: 'read' | 'only' | 'skip'
  /** Classes with rules. */
  readonly jobClasses: readonly string[]
  /** Labels and keys with rules that hold for every class. */
  readonly labels: readonly string[]
  readonly keys: readonly string[]
  /** Classes whose rules read the arguments of the job. */
  readonly readsArguments: readonly string[]
  readonly full: FullScopes
}

/** Jobs without a place at present. A claim skips them, so that a backlog of them hides no other job. */
export interface FullScopes {
  /** Classes with a rule about all jobs that is full. */
  readonly jobClasses: readonly string[]
  /** Pairs: jobs of this class that carry this label. */
  readonly labels: readonly (readonly [jobClass: string, label: string])[]
  /** Pairs: jobs of this class with this concurrency key. */
  readonly keys: readonly (readonly [jobClass: string, key: string])[]
  /** Jobs whose row does not show the scope that is full, and jobs that another session holds. */
  readonly jobIds: readonly string[]
}

/** A job that a claim has read but not started, because a rule limits it. */
export interface LimitedRow {
  readonly id: string
  readonly job_class: string
  readonly queue_name: string | null
  readonly priority: number | null
  /** Null unless the rules of the class read it. */
  readonly serialized_params: string | null
  readonly labels: readonly string[] | null
  readonly concurrency_key: string | null
  readonly created_at: string
  readonly scheduled_at: string | null
}

/** The columns of good_jobs that `limitedRow` reads. */
export const LIMITED_COLUMNS = [
  'id',
  'job_class',
  'queue_name',
  'priority',
  'serialized_params',
  'labels',
  'concurrency_key',
  'created_at',
  'scheduled_at',
]

/** True for a job that must not be started without a place. */
export const isLimited = ({ jobClasses, labels, keys }: LimitedJobs, parameters: Parameters): string => {
  const isOfClass = `job_class = ANY (${parameters.add(jobClasses, 'text[]')})`
  if (labels.length + keys.length === 0) return isOfClass
  const isListed = `concurrency_key = ANY (${parameters.add(keys, 'text[]')}) OR labels && ${parameters.add(labels, 'text[]')}`
  return `(${isOfClass} OR (${isListed}) IS TRUE)`
}

/** True if no other session holds the advisory lock of the job. The lock is free again when the statement returns. */
export const isUnlocked = (id: string): string =>
  `CASE WHEN pg_try_advisory_lock(${jobLockKeySql(id)}) THEN pg_advisory_unlock(${jobLockKeySql(id)}) ELSE false END`

/** The columns of LimitedRow; the arguments of a job may be large, so they are returned only if its rules read them. */
export const limitedRow = ({ readsArguments }: LimitedJobs, parameters: Parameters): string =>
  LIMITED_COLUMNS.map((column) =>
    column === 'serialized_params'
      ? `CASE WHEN job_class = ANY (${parameters.add(readsArguments, 'text[]')}) THEN serialized_params END AS serialized_params`
      : column,
  ).join(', ')

/**
 * ` AND …` that keeps the jobs which `claim` names and leaves out those of full scopes. The pairs are read as sub-selects, which
 * Postgres hashes however many there are. The labels of a row are compared with all full labels first, because most rows carry none
 * of them.
 */
export const notFull = (limits: LimitedJobs, parameters: Parameters): string => {
  const { full } = limits
  const pairs = (list: FullScopes['keys']): string =>
    `SELECT * FROM unnest(${parameters.add(
      list.map(([jobClass]) => jobClass),
      'text[]',
    )}, ${parameters.add(
      list.map(([, value]) => value),
      'text[]',
    )})`
  if (limits.claim === 'skip') return `\n    AND NOT ${isLimited(limits, parameters)}`
  const labels = parameters.add([...new Set(full.labels.map(([, label]) => label))], 'text[]')
  return `${limits.claim === 'only' ? `\n    AND ${isLimited(limits, parameters)}` : ''}
    AND job_class <> ALL (${parameters.add(full.jobClasses, 'text[]')})
    AND ((job_class, concurrency_key) IN (${pairs(full.keys)})) IS NOT TRUE
    AND (labels && ${labels}
      AND EXISTS (SELECT FROM unnest(labels) AS own(label) WHERE (job_class, own.label) IN (${pairs(full.labels)}))) IS NOT TRUE
    AND id <> ALL (${parameters.add(full.jobIds, 'uuid[]')})`
}
