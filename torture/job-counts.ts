import { EXCUSES_OVERLAP, EXCUSES_REPEATED, IS_OVERLAP, IS_REPEATED } from './excuses.ts'
import { LIMITED_CLASSES } from './limited-jobs.ts'

export const COUNTS = `
SELECT (SELECT count(*)::integer FROM good_jobs) AS jobs,
  (SELECT count(*)::integer FROM good_job_executions WHERE error_event = 0) AS interrupted`

/** The row is discarded although an attempt succeeded: a Ruby worker ran the job early or beside another, and left its error. */
const IS_SPOILT = `good_jobs.finished_at IS NOT NULL AND good_jobs.error IS NOT NULL
  AND EXISTS (SELECT FROM fleet_runs WHERE job_id = good_jobs.id AND outcome = 'done')
  AND EXISTS (SELECT FROM fleet_runs WHERE job_id = good_jobs.id AND side = 'ruby' AND (is_disturbed OR started_at < due_at))`

export const SPOILT = `SELECT FROM good_jobs WHERE ${IS_SPOILT}`

/** According to its row the job has not ended, or has failed. */
const IS_LOST_IN_ROW = `good_jobs.finished_at IS NULL OR good_jobs.error IS NOT NULL AND NOT (${IS_SPOILT})`

/** No attempt in the ledger has done the job. The jobs that only enqueue others are not in the ledger. */
const IS_LOST_IN_LEDGER = `good_jobs.job_class <> 'Fleet::EnqueueJob'
  AND NOT EXISTS (SELECT FROM fleet_attempts WHERE job_id = good_jobs.id AND outcome = 'done')`

/** Jobs without an end, or that no attempt has done. $1 ids of jobs that were enqueued uuid[], whose rows may be missing */
export const LOST = `
SELECT id FROM unnest($1::uuid[]) AS wanted(id)
LEFT JOIN good_jobs USING (id)
WHERE ${IS_LOST_IN_ROW}
UNION
SELECT id FROM good_jobs
WHERE ${IS_LOST_IN_ROW} OR ${IS_LOST_IN_LEDGER}`

const bySide = (rows: string, where = 'true'): string => `
SELECT side, count(*)::integer AS count FROM ${rows} WHERE ${where} GROUP BY side`

export const ATTEMPTS = bySide('fleet_attempts')
/** Of jobs that either side may run. */
export const SHARED_ATTEMPTS = bySide('fleet_attempts', `job_class = 'Fleet::SharedJob'`)
/** A limited job that has to wait is due as soon as it is called, whatever its parameters say: only its row knows that. */
export const EARLY_ATTEMPTS = bySide(
  'fleet_runs',
  `started_at < CASE WHEN job_class IN (${LIMITED_CLASSES.map(({ jobClass }) => `'${jobClass.jobClass}'`)}) THEN row_due_at ELSE due_at END`,
)

/** Executions of ended jobs that were never closed, without those of jobs that Ruby workers disturbed. */
export const OPEN_EXECUTIONS = bySide(
  `good_job_executions execution
JOIN good_jobs ON good_jobs.id = execution.active_job_id AND good_jobs.finished_at IS NOT NULL
JOIN fleet_workers worker ON worker.process_id = execution.process_id`,
  `execution.finished_at IS NULL
AND NOT EXISTS (SELECT FROM fleet_runs WHERE job_id = execution.active_job_id AND is_disturbed)`,
)

/** Two attempts of one job, counted by the sides of the earlier and the later one. */
export interface Pairs {
  readonly pair: string
  /** Pairs without an explanation. */
  readonly unexplained: number
  /** The earlier one had lost its lock, or runs beside another of Ruby's own. */
  readonly explained: number
}

const pairs = (condition: string, excuse: string): string => `
SELECT a.side || ', ' || b.side AS pair,
  count(*) FILTER (WHERE NOT (${excuse}))::integer AS unexplained,
  count(*) FILTER (WHERE ${excuse})::integer AS explained
FROM fleet_runs a JOIN fleet_runs b ON b.job_id = a.job_id AND (b.started_at, b.id) > (a.started_at, a.id)
WHERE ${condition} GROUP BY 1 ORDER BY 1`

export const OVERLAPS = pairs(IS_OVERLAP, EXCUSES_OVERLAP)
export const REPEATED = pairs(IS_REPEATED, EXCUSES_REPEATED)
