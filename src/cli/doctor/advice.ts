import { parseSelector } from '../../claim/queue-string.ts'
import type { PassedJobs } from '../../sql/jobs/passed.ts'
import { CLASS_INDEXES, createClassIndex } from '../../sql/schema/class-indexes.ts'
import { plural } from '../output.ts'

/** A possible improvement; not a problem. */
export interface Advice {
  readonly text: string
  /** SQL statements for the reader to run; no command runs them. */
  readonly statements: readonly string[]
}

/** From this many skipped jobs on, a claim from the head of the queue is noticeably slow. */
export const MANY_PASSED = 10_000

/** Older versions of Postgres do not compare a list of classes inside an index scan that keeps the index's order. */
const HELPS_SINCE_POSTGRES = 17

/** Advice for workers with these pools, on tables with these indexes (see schema-catalog.ts). */
export const passedJobsAdvice = (
  passed: readonly PassedJobs[],
  { pools, definitions, version }: { pools: readonly string[]; definitions: readonly string[]; version: string },
): Advice[] => {
  const many = passed.filter(({ jobs }) => jobs >= MANY_PASSED)
  if (many.length === 0) return []
  const kinds = new Set(pools.map((pool) => (parseSelector(pool).kind === 'include' ? 'namedQueue' : 'everyQueue')))
  const absent = [...kinds]
    .map((kind) => CLASS_INDEXES[kind])
    .filter(({ columns }) => !definitions.some((definition) => definition.startsWith(`btree (${columns}) WHERE`)))
  const helps = Number.parseInt(version, 10) >= HELPS_SINCE_POSTGRES
  if (helps && absent.length === 0) return []
  const way = helps ? ', or create an index that includes the class:' : '.'
  return many.map(({ queue_name, jobs, job_classes }) => ({
    text: `Workers of queue "${queue_name}" skip ${plural(jobs, 'due job')} or more that they do not run (${job_classes.join(', ')}). Give those jobs a queue of their own${way}`,
    statements: helps ? absent.map(createClassIndex) : [],
  }))
}
