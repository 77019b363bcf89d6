import { type Queryable, rowsOf } from '../connection/queryable.ts'
import type { Facts } from '../database.ts'
import { textArray } from '../text.ts'

/** Unfinished jobs of a class with concurrency rules. */
export interface UncountedJobs {
  readonly job_class: string
  readonly jobs: number
  /** Those without a concurrency key. */
  readonly keyless: number
  /** Those with one of the labels of the class. */
  readonly labelled: number
}

interface UncountedQuery {
  readonly jobClasses: readonly string[]
  readonly labels: readonly { readonly jobClass: string; readonly label: string }[]
  readonly maxJobs: number
}

/** $1 classes text[] · $2 jobs · $3 classes text[] · $4 a label of each text[] */
const COUNT_UNCOUNTED = `
WITH job AS MATERIALIZED (
  SELECT job_class, concurrency_key, labels
  FROM good_jobs
  WHERE finished_at IS NULL AND job_class = ANY ($1::text[])
  ORDER BY priority, created_at
  LIMIT $2
)
SELECT job_class, count(*)::int AS jobs, count(*) FILTER (WHERE concurrency_key IS NULL)::int AS keyless,
  count(*) FILTER (WHERE EXISTS (
    SELECT FROM unnest($3::text[], $4::text[]) AS rule(job_class, label)
    WHERE rule.job_class = job.job_class AND rule.label = ANY (ARRAY(SELECT btrim(text) FROM unnest(labels) AS text))
  ))::int AS labelled
FROM job
GROUP BY job_class
ORDER BY job_class`

/** Counts unfinished jobs of these classes, among the first `maxJobs` of them. */
export const countUncounted = (
  db: Queryable,
  { jobClasses, labels, maxJobs }: UncountedQuery,
): Promise<UncountedJobs[]> =>
  rowsOf<UncountedJobs & Record<string, unknown>>(db, {
    text: COUNT_UNCOUNTED,
    values: [
      textArray(jobClasses),
      maxJobs,
      textArray(labels.map(({ jobClass }) => jobClass)),
      textArray(labels.map(({ label }) => label)),
    ],
  })

/** $1 jobs. Keys are found by their claims: a rule counts them. */
const FIND_CROWDED_KEYS = `
SELECT claimed.key
FROM (SELECT DISTINCT key FROM good_job_concurrency_claims WHERE key LIKE 'key:%' ORDER BY key LIMIT 100) AS claimed
WHERE (
  SELECT count(*) FROM (
    SELECT FROM good_jobs WHERE concurrency_key = substr(claimed.key, 5) AND finished_at IS NULL LIMIT $1
  ) AS job
) = $1
ORDER BY claimed.key
LIMIT 3`

/** Returns some of the keys that rules count and that at least `jobs` unfinished jobs have. */
export const findCrowdedKeys = async (
  db: Queryable,
  { hasConcurrencyClaims }: Facts,
  jobs: number,
): Promise<string[]> => {
  if (!hasConcurrencyClaims) return []
  const rows = await rowsOf<{ key: string }>(db, { text: FIND_CROWDED_KEYS, values: [jobs] })
  return rows.map(({ key }) => key)
}
