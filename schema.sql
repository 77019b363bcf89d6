-- The tables of GoodJob 4.23.1, as its install migration creates them on Rails 7.2: same columns in the same order, same types,
-- same index names. This file is for applications without Rails; a Rails application runs `rails g good_job:install` instead.
-- It needs Postgres 13 or later, creates the tables in the first schema of search_path, and changes nothing if it runs again.
--
--   psql --single-transaction --file schema.sql "$DATABASE_URL"

CREATE TABLE IF NOT EXISTS good_jobs (
  id                  uuid NOT NULL DEFAULT gen_random_uuid(),
  queue_name          text,
  priority            integer,
  serialized_params   jsonb,
  scheduled_at        timestamp(6),
  performed_at        timestamp(6),
  finished_at         timestamp(6),
  error               text,
  created_at          timestamp(6) NOT NULL,
  updated_at          timestamp(6) NOT NULL,
  active_job_id       uuid,
  concurrency_key     text,
  cron_key            text,
  retried_good_job_id uuid,
  cron_at             timestamp(6),
  batch_id            uuid,
  batch_callback_id   uuid,
  is_discrete         boolean,
  executions_count    integer,
  job_class           text,
  error_event         smallint,
  labels              text[],
  locked_by_id        uuid,
  locked_at           timestamp(6),
  lock_type           smallint,
  CONSTRAINT good_jobs_pkey PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS index_good_job_jobs_for_candidate_lookup
  ON good_jobs (priority, created_at)
  WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_dequeue_by_queue
  ON good_jobs (queue_name, priority, created_at)
  WHERE finished_at IS NULL AND locked_by_id IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_dequeue_by_queue_scheduled_at
  ON good_jobs (queue_name, priority, scheduled_at)
  WHERE finished_at IS NULL AND locked_by_id IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_for_candidate_dequeue_unlocked
  ON good_jobs (priority, scheduled_at, id)
  WHERE finished_at IS NULL AND locked_by_id IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_jobs_on_finished_at_only
  ON good_jobs (finished_at)
  WHERE finished_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_active_job_id_and_created_at
  ON good_jobs (active_job_id, created_at);
CREATE INDEX IF NOT EXISTS index_good_jobs_on_batch_callback_id
  ON good_jobs (batch_callback_id)
  WHERE batch_callback_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_batch_callback_id_unfinished
  ON good_jobs (batch_callback_id)
  WHERE batch_callback_id IS NOT NULL AND finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_batch_id
  ON good_jobs (batch_id)
  WHERE batch_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_batch_id_unfinished
  ON good_jobs (batch_id)
  WHERE batch_id IS NOT NULL AND finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_concurrency_key_and_created_at
  ON good_jobs (concurrency_key, created_at);
CREATE INDEX IF NOT EXISTS index_good_jobs_on_concurrency_key_when_unfinished
  ON good_jobs (concurrency_key)
  WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_created_at
  ON good_jobs (created_at);
CREATE INDEX IF NOT EXISTS index_good_jobs_on_cron_key_and_created_at_cond
  ON good_jobs (cron_key, created_at)
  WHERE cron_key IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS index_good_jobs_on_cron_key_and_cron_at_cond
  ON good_jobs (cron_key, cron_at DESC NULLS LAST)
  WHERE cron_key IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_discarded
  ON good_jobs (finished_at DESC)
  WHERE finished_at IS NOT NULL AND error IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_discarded_job_class
  ON good_jobs (job_class, finished_at)
  WHERE finished_at IS NOT NULL AND error IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_job_class
  ON good_jobs (job_class);
CREATE INDEX IF NOT EXISTS index_good_jobs_on_labels
  ON good_jobs USING gin (labels)
  WHERE labels IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_locked_by_id
  ON good_jobs (locked_by_id)
  WHERE locked_by_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_priority_scheduled_at_unfinished
  ON good_jobs (priority, scheduled_at, id)
  WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_queue_name
  ON good_jobs (queue_name);
CREATE INDEX IF NOT EXISTS index_good_jobs_on_queue_name_priority_scheduled_at_unfinished
  ON good_jobs (queue_name, scheduled_at, id)
  WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_scheduled_at
  ON good_jobs (scheduled_at)
  WHERE finished_at IS NULL;
CREATE INDEX IF NOT EXISTS index_good_jobs_on_scheduled_at_and_queue_name
  ON good_jobs (scheduled_at, queue_name);
CREATE INDEX IF NOT EXISTS index_good_jobs_on_unfinished_or_errored
  ON good_jobs (id)
  WHERE finished_at IS NULL OR error IS NOT NULL;

CREATE TABLE IF NOT EXISTS good_job_executions (
  id                uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at        timestamp(6) NOT NULL,
  updated_at        timestamp(6) NOT NULL,
  active_job_id     uuid NOT NULL,
  job_class         text,
  queue_name        text,
  serialized_params jsonb,
  scheduled_at      timestamp(6),
  finished_at       timestamp(6),
  error             text,
  error_event       smallint,
  error_backtrace   text[],
  process_id        uuid,
  duration          interval,
  CONSTRAINT good_job_executions_pkey PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS index_good_job_executions_on_active_job_id_and_created_at
  ON good_job_executions (active_job_id, created_at);
CREATE INDEX IF NOT EXISTS index_good_job_executions_on_created_at
  ON good_job_executions (created_at);
CREATE INDEX IF NOT EXISTS index_good_job_executions_on_process_id_and_created_at
  ON good_job_executions (process_id, created_at);
CREATE INDEX IF NOT EXISTS index_good_job_executions_on_scheduled_at
  ON good_job_executions (scheduled_at);

CREATE TABLE IF NOT EXISTS good_job_batches (
  id                    uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at            timestamp(6) NOT NULL,
  updated_at            timestamp(6) NOT NULL,
  description           text,
  serialized_properties jsonb,
  on_finish             text,
  on_success            text,
  on_discard            text,
  callback_queue_name   text,
  callback_priority     integer,
  enqueued_at           timestamp(6),
  discarded_at          timestamp(6),
  finished_at           timestamp(6),
  jobs_finished_at      timestamp(6),
  CONSTRAINT good_job_batches_pkey PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS index_good_job_batches_on_created_at_and_id
  ON good_job_batches (created_at DESC, id DESC);
CREATE INDEX IF NOT EXISTS index_good_job_batches_on_finished_at
  ON good_job_batches (finished_at)
  WHERE finished_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS good_job_processes (
  id         uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at timestamp(6) NOT NULL,
  updated_at timestamp(6) NOT NULL,
  state      jsonb,
  lock_type  smallint,
  CONSTRAINT good_job_processes_pkey PRIMARY KEY (id)
);

CREATE TABLE IF NOT EXISTS good_job_settings (
  id         uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at timestamp(6) NOT NULL,
  updated_at timestamp(6) NOT NULL,
  key        text,
  value      jsonb,
  CONSTRAINT good_job_settings_pkey PRIMARY KEY (id)
);

CREATE UNIQUE INDEX IF NOT EXISTS index_good_job_settings_on_key
  ON good_job_settings (key);

CREATE TABLE IF NOT EXISTS good_job_concurrency_claims (
  id           uuid NOT NULL DEFAULT gen_random_uuid(),
  created_at   timestamp(6) NOT NULL,
  updated_at   timestamp(6) NOT NULL,
  job_id       uuid NOT NULL,
  locked_by_id uuid,
  state        smallint NOT NULL,
  key          text NOT NULL,
  CONSTRAINT good_job_concurrency_claims_pkey PRIMARY KEY (id)
);

CREATE INDEX IF NOT EXISTS index_good_job_concurrency_claims_for_promotion
  ON good_job_concurrency_claims (key, state, created_at);
CREATE INDEX IF NOT EXISTS index_good_job_concurrency_claims_on_job_id
  ON good_job_concurrency_claims (job_id);
CREATE UNIQUE INDEX IF NOT EXISTS index_good_job_concurrency_claims_on_key_and_job_id
  ON good_job_concurrency_claims (key, job_id);
CREATE INDEX IF NOT EXISTS index_good_job_concurrency_claims_on_locked_by_id
  ON good_job_concurrency_claims (locked_by_id)
  WHERE locked_by_id IS NOT NULL;
