import { parseSelector } from '../../claim/queue-string.ts'
import type { PassedJobs } from '../../sql/jobs/passed.ts'
import { CLASS_INDEXES, createClassIndex } from '../../sql/schema/class-indexes.ts'
import { plural } from '../output.ts'

/** What would help, though nothing is wrong. */
export interface Advice {
  readonly text: string
  /** Statements that would help; nobody but the reader runs them. */
  readonly statements: readonly string[]
}

/** Passed by so many, a claim from the head of the queue takes long enough to matter. */
export const MANY_PASSED = 10_000

/** Before it a claim does not compare a list of classes within an index in the order of that index. */
const HELPS_SINCE_POSTGRES = 17

/** For workers with these pools, on tables with indexes of these definitions (see schema-catalog.ts). */
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
  const way = helps ? ', or create an index that shows the class:' : '.'
  return many.map(({ queue_name, jobs, job_classes }) => ({
    text: `Workers of queue "${queue_name}" pass by ${plural(jobs, 'due job')} or more that they do not run (${job_classes.join(', ')}). Give those a queue of their own${way}`,
    statements: helps ? absent.map(createClassIndex) : [],
  }))
}
