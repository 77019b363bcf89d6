import { CALLBACK_EVENT, IS_BROKEN, MADE_IN_NODE } from './batch-rows.ts'

/**
 * Of a `late` callback of a `batch`: Ruby made it after an on_discard and the on_success that followed, and no member has failed since that
 * success. So it is for a failure from before, which only Ruby has in memory; Node reads the rows.
 */
export const LATE_IN_RUBY = `NOT ${MADE_IN_NODE('late.id')} AND EXISTS (
        SELECT FROM good_jobs success
        JOIN good_jobs earlier ON earlier.batch_callback_id = batch.id AND earlier.${CALLBACK_EVENT} = 'discard'
        WHERE success.batch_callback_id = batch.id AND success.${CALLBACK_EVENT} = 'success'
        AND earlier.created_at < success.created_at AND success.created_at < late.created_at
        AND NOT EXISTS (
          SELECT FROM good_jobs member JOIN good_job_executions e ON e.active_job_id = member.id
          WHERE member.batch_id = batch.id AND ${IS_BROKEN} AND e.finished_at BETWEEN success.created_at AND late.created_at
        )
        AND NOT EXISTS (
          SELECT FROM fleet_actions JOIN good_jobs member ON member.id = job_id
          WHERE member.batch_id = batch.id AND action = 'force discard' AND is_done IS NOT FALSE
          AND at AT TIME ZONE 'UTC' BETWEEN success.created_at - interval '1 second' AND late.created_at
        )
      )`
