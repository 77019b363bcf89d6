import { integerIn } from '../stored-hash.ts'

/** The state badge of a job, as GoodJob's dashboard shows it. */
export type JobState = 'scheduled' | 'retried' | 'queued' | 'running' | 'succeeded' | 'discarded'

export const JOB_STATES: readonly JobState[] = ['scheduled', 'retried', 'queued', 'running', 'succeeded', 'discarded']

/** The badge of one row as an expression; the first match wins. GoodJob job.rb#status. `now` is a placeholder. */
export const jobStateSql = (now: string): string => `CASE
    WHEN finished_at IS NOT NULL AND btrim(coalesce(error, '')) <> '' THEN 'discarded'
    WHEN finished_at IS NOT NULL THEN 'succeeded'
    WHEN performed_at IS NOT NULL THEN 'running'
    WHEN coalesce(scheduled_at, created_at) <= ${now} THEN 'queued'
    WHEN btrim(coalesce(error, '')) <> '' THEN 'retried'
    ELSE 'scheduled'
  END`

const EXECUTIONS = integerIn('serialized_params', 'executions')

/** The rows of one of the dashboard's tabs; tabs may overlap. GoodJob job.rb, scopes. `now` is a placeholder. */
export const jobStateFilterSql = (state: JobState, now: string): string =>
  ({
    scheduled: `finished_at IS NULL AND scheduled_at > ${now} AND ${EXECUTIONS} < 2`,
    retried: `finished_at IS NULL AND scheduled_at > ${now} AND ${EXECUTIONS} > 1`,
    queued: `performed_at IS NULL AND finished_at IS NULL AND scheduled_at <= ${now}`,
    running: 'performed_at IS NOT NULL AND finished_at IS NULL',
    succeeded: 'finished_at IS NOT NULL AND error IS NULL',
    discarded: 'finished_at IS NOT NULL AND error IS NOT NULL',
  })[state]
