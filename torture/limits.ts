import { LIMITED_CLASSES } from './limited-jobs.ts'

/** How full a scope was. */
export interface ScopeUse {
  readonly scope: string
  readonly limit: number
  readonly attempts: number
  /** The largest number of its jobs that ran at a time. */
  readonly most: number
  /** Starts of an attempt by which the scope had more running jobs than its limit, one of them in Node. */
  readonly exceeded: number
  /** The same where all of them ran in Ruby. */
  readonly exceededByRuby: number
  /** The longest time from the moment at which a job became due to its first attempt, seconds. */
  readonly longestWait: number
}

const SCOPES = LIMITED_CLASSES.flatMap(({ jobClass, limit, scopes }) =>
  scopes.map((scope) => `('${scope}', '${jobClass.jobClass}', ${limit})`),
).join(', ')

/**
 * An attempt counts until it ends or its worker is killed, until its job is force-discarded, which gives its place away, and until
 * another attempt of the same job begins: whether that may overlap is another promise.
 */
const COUNTS_UNTIL = `least(
    a.until,
    lead(a.started_at) OVER (PARTITION BY scope.scope, a.job_id ORDER BY a.started_at, a.id),
    (SELECT min(at) FROM fleet_actions
      WHERE job_id = a.job_id AND action = 'force discard' AND is_done IS NOT FALSE AND at >= a.started_at)
  )`

/** Attempts whose row another attempt of Ruby wrote over do not count: with the row they lost their place. */
const RUNS = `
  SELECT scope.scope, scope.job_limit, a.job_id, a.side, a.started_at, ${COUNTS_UNTIL} AS counts_until
  FROM fleet_runs a JOIN (VALUES ${SCOPES}) AS scope(scope, job_class, job_limit) USING (job_class)
  WHERE NOT a.is_disturbed`

/** Each start and each end, with the jobs of the scope that ran after it. An end comes before a start of the same moment. */
const MOMENTS = `
  SELECT scope, job_limit, change, sum(change) OVER earlier AS running,
    coalesce(sum(change) FILTER (WHERE side = 'node') OVER earlier, 0) AS running_in_node
  FROM run CROSS JOIN LATERAL (VALUES (started_at, 1), (counts_until, -1)) AS moment(at, change)
  WINDOW earlier AS (PARTITION BY scope ORDER BY at, change)`

const WAITS = `
  SELECT run.scope, max(extract(epoch FROM first.started_at - greatest(first.due_at, job.created_at AT TIME ZONE 'UTC'))) AS longest
  FROM (SELECT DISTINCT scope, job_id FROM run) AS run
  JOIN good_jobs job ON job.id = run.job_id
  CROSS JOIN LATERAL (SELECT * FROM fleet_attempts WHERE job_id = run.job_id ORDER BY started_at LIMIT 1) AS first
  GROUP BY 1`

/** How full each scope was, after \`prepareRuns\`. */
export const SCOPE_USES = `
WITH run AS MATERIALIZED (${RUNS}
),
start AS (
  SELECT * FROM (${MOMENTS}
  ) AS moment WHERE change = 1
),
wait AS (${WAITS}
)
SELECT scope, job_limit AS "limit", count(*)::integer AS attempts, max(running)::integer AS most,
  count(*) FILTER (WHERE running > job_limit AND running_in_node > 0)::integer AS exceeded,
  count(*) FILTER (WHERE running > job_limit AND running_in_node = 0)::integer AS "exceededByRuby",
  max(round(longest::numeric, 1))::float8 AS "longestWait"
FROM start LEFT JOIN wait USING (scope) GROUP BY 1, 2 ORDER BY 1`
