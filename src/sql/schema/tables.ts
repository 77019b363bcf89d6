/** A table: the first GoodJob version that has it, its columns, its indexes (primary keys left out). */
export interface TableFacts {
  readonly since: string
  readonly columns: Readonly<Record<string, string>>
  /** Name → the first GoodJob version with exactly this index, and its definition from `USING` on (after the word UNIQUE). */
  readonly indexes: Readonly<Record<string, readonly [since: string, definition: string]>>
}

/** Columns that came after 4.0.0, and the GoodJob version whose migration adds them. A table's own columns are as old as the table. */
export const LATER_COLUMNS: Readonly<Record<string, string>> = {
  'good_job_batches.jobs_finished_at': '4.3.0',
  'good_jobs.lock_type': '4.15.0',
}

/** What GoodJob 4.23.1 installs; schema.sql makes exactly this. */
export const GOOD_JOB_TABLES: Readonly<Record<string, TableFacts>> = {
  good_jobs: {
    since: '4.0.0',
    columns: {
      id: 'uuid NOT NULL DEFAULT gen_random_uuid()',
      queue_name: 'text',
      priority: 'integer',
      serialized_params: 'jsonb',
      scheduled_at: 'timestamp(6)',
      performed_at: 'timestamp(6)',
      finished_at: 'timestamp(6)',
      error: 'text',
      created_at: 'timestamp(6) NOT NULL',
      updated_at: 'timestamp(6) NOT NULL',
      active_job_id: 'uuid',
      concurrency_key: 'text',
      cron_key: 'text',
      retried_good_job_id: 'uuid',
      cron_at: 'timestamp(6)',
      batch_id: 'uuid',
      batch_callback_id: 'uuid',
      is_discrete: 'boolean',
      executions_count: 'integer',
      job_class: 'text',
      error_event: 'smallint',
      labels: 'text[]',
      locked_by_id: 'uuid',
      locked_at: 'timestamp(6)',
      lock_type: 'smallint',
    },
    indexes: {
      index_good_job_jobs_for_candidate_lookup: ['4.0.0', 'btree (priority, created_at) WHERE (finished_at IS NULL)'],
      index_good_jobs_dequeue_by_queue: [
        '4.20.0',
        'btree (queue_name, priority, created_at) WHERE ((finished_at IS NULL) AND (locked_by_id IS NULL))',
      ],
      index_good_jobs_dequeue_by_queue_scheduled_at: [
        '4.20.0',
        'btree (queue_name, priority, scheduled_at) WHERE ((finished_at IS NULL) AND (locked_by_id IS NULL))',
      ],
      index_good_jobs_for_candidate_dequeue_unlocked: [
        '4.15.0',
        'btree (priority, scheduled_at, id) WHERE ((finished_at IS NULL) AND (locked_by_id IS NULL))',
      ],
      index_good_jobs_jobs_on_finished_at_only: ['4.13.1', 'btree (finished_at) WHERE (finished_at IS NOT NULL)'],
      index_good_jobs_on_active_job_id_and_created_at: ['4.0.0', 'btree (active_job_id, created_at)'],
      index_good_jobs_on_batch_callback_id: [
        '4.0.0',
        'btree (batch_callback_id) WHERE (batch_callback_id IS NOT NULL)',
      ],
      index_good_jobs_on_batch_callback_id_unfinished: [
        '4.20.0',
        'btree (batch_callback_id) WHERE ((batch_callback_id IS NOT NULL) AND (finished_at IS NULL))',
      ],
      index_good_jobs_on_batch_id: ['4.0.0', 'btree (batch_id) WHERE (batch_id IS NOT NULL)'],
      index_good_jobs_on_batch_id_unfinished: [
        '4.20.0',
        'btree (batch_id) WHERE ((batch_id IS NOT NULL) AND (finished_at IS NULL))',
      ],
      index_good_jobs_on_concurrency_key_and_created_at: ['4.9.1', 'btree (concurrency_key, created_at)'],
      index_good_jobs_on_concurrency_key_when_unfinished: [
        '4.0.0',
        'btree (concurrency_key) WHERE (finished_at IS NULL)',
      ],
      index_good_jobs_on_created_at: ['4.18.2', 'btree (created_at)'],
      index_good_jobs_on_cron_key_and_created_at_cond: [
        '4.0.0',
        'btree (cron_key, created_at) WHERE (cron_key IS NOT NULL)',
      ],
      index_good_jobs_on_cron_key_and_cron_at_cond: [
        '4.20.0',
        'UNIQUE btree (cron_key, cron_at DESC NULLS LAST) WHERE (cron_key IS NOT NULL)',
      ],
      index_good_jobs_on_discarded: [
        '4.18.2',
        'btree (finished_at DESC) WHERE ((finished_at IS NOT NULL) AND (error IS NOT NULL))',
      ],
      index_good_jobs_on_discarded_job_class: [
        '4.19.3',
        'btree (job_class, finished_at) WHERE ((finished_at IS NOT NULL) AND (error IS NOT NULL))',
      ],
      index_good_jobs_on_job_class: ['4.12.0', 'btree (job_class)'],
      index_good_jobs_on_labels: ['4.0.0', 'gin (labels) WHERE (labels IS NOT NULL)'],
      index_good_jobs_on_locked_by_id: ['4.0.0', 'btree (locked_by_id) WHERE (locked_by_id IS NOT NULL)'],
      index_good_jobs_on_priority_scheduled_at_unfinished: [
        '4.15.0',
        'btree (priority, scheduled_at, id) WHERE (finished_at IS NULL)',
      ],
      index_good_jobs_on_queue_name: ['4.18.2', 'btree (queue_name)'],
      index_good_jobs_on_queue_name_priority_scheduled_at_unfinished: [
        '4.15.0',
        'btree (queue_name, scheduled_at, id) WHERE (finished_at IS NULL)',
      ],
      index_good_jobs_on_scheduled_at: ['4.0.0', 'btree (scheduled_at) WHERE (finished_at IS NULL)'],
      index_good_jobs_on_scheduled_at_and_queue_name: ['4.18.2', 'btree (scheduled_at, queue_name)'],
      index_good_jobs_on_unfinished_or_errored: [
        '4.18.2',
        'btree (id) WHERE ((finished_at IS NULL) OR (error IS NOT NULL))',
      ],
    },
  },
  good_job_executions: {
    since: '4.0.0',
    columns: {
      id: 'uuid NOT NULL DEFAULT gen_random_uuid()',
      created_at: 'timestamp(6) NOT NULL',
      updated_at: 'timestamp(6) NOT NULL',
      active_job_id: 'uuid NOT NULL',
      job_class: 'text',
      queue_name: 'text',
      serialized_params: 'jsonb',
      scheduled_at: 'timestamp(6)',
      finished_at: 'timestamp(6)',
      error: 'text',
      error_event: 'smallint',
      error_backtrace: 'text[]',
      process_id: 'uuid',
      duration: 'interval',
    },
    indexes: {
      index_good_job_executions_on_active_job_id_and_created_at: ['4.0.0', 'btree (active_job_id, created_at)'],
      index_good_job_executions_on_created_at: ['4.23.0', 'btree (created_at)'],
      index_good_job_executions_on_process_id_and_created_at: ['4.0.0', 'btree (process_id, created_at)'],
      index_good_job_executions_on_scheduled_at: ['4.20.0', 'btree (scheduled_at)'],
    },
  },
  good_job_batches: {
    since: '4.0.0',
    columns: {
      id: 'uuid NOT NULL DEFAULT gen_random_uuid()',
      created_at: 'timestamp(6) NOT NULL',
      updated_at: 'timestamp(6) NOT NULL',
      description: 'text',
      serialized_properties: 'jsonb',
      on_finish: 'text',
      on_success: 'text',
      on_discard: 'text',
      callback_queue_name: 'text',
      callback_priority: 'integer',
      enqueued_at: 'timestamp(6)',
      discarded_at: 'timestamp(6)',
      finished_at: 'timestamp(6)',
      jobs_finished_at: 'timestamp(6)',
    },
    indexes: {
      index_good_job_batches_on_created_at_and_id: ['4.20.0', 'btree (created_at DESC, id DESC)'],
      index_good_job_batches_on_finished_at: ['4.20.0', 'btree (finished_at) WHERE (finished_at IS NOT NULL)'],
    },
  },
  good_job_processes: {
    since: '4.0.0',
    columns: {
      id: 'uuid NOT NULL DEFAULT gen_random_uuid()',
      created_at: 'timestamp(6) NOT NULL',
      updated_at: 'timestamp(6) NOT NULL',
      state: 'jsonb',
      lock_type: 'smallint',
    },
    indexes: {},
  },
  good_job_settings: {
    since: '4.0.0',
    columns: {
      id: 'uuid NOT NULL DEFAULT gen_random_uuid()',
      created_at: 'timestamp(6) NOT NULL',
      updated_at: 'timestamp(6) NOT NULL',
      key: 'text',
      value: 'jsonb',
    },
    indexes: {
      index_good_job_settings_on_key: ['4.0.0', 'UNIQUE btree (key)'],
    },
  },
  good_job_concurrency_claims: {
    since: '4.21.0',
    columns: {
      id: 'uuid NOT NULL DEFAULT gen_random_uuid()',
      created_at: 'timestamp(6) NOT NULL',
      updated_at: 'timestamp(6) NOT NULL',
      job_id: 'uuid NOT NULL',
      locked_by_id: 'uuid',
      state: 'smallint NOT NULL',
      key: 'text NOT NULL',
    },
    indexes: {
      index_good_job_concurrency_claims_for_promotion: ['4.21.0', 'btree (key, state, created_at)'],
      index_good_job_concurrency_claims_on_job_id: ['4.21.0', 'btree (job_id)'],
      index_good_job_concurrency_claims_on_key_and_job_id: ['4.21.0', 'UNIQUE btree (key, job_id)'],
      index_good_job_concurrency_claims_on_locked_by_id: [
        '4.21.0',
        'btree (locked_by_id) WHERE (locked_by_id IS NOT NULL)',
      ],
    },
  },
}
