import type { Pool } from 'pg'

/** Inserts rows of text that the server casts to the types of `columns`. */
export const insertHostile = async (
  pool: Pool,
  table: string,
  columns: Readonly<Record<string, string>>,
  rows: readonly Readonly<Record<string, string | null>>[],
): Promise<void> => {
  const names = Object.keys(columns)
  const casts = names.map((name) => `${name}::${columns[name]}`)
  const given = names.map((_, index) => `$${index + 1}::text[]`)
  await pool.query(
    `INSERT INTO ${table} (${names.join(', ')}) SELECT ${casts.join(', ')} FROM unnest(${given.join(', ')}) AS given(${names.join(', ')})`,
    names.map((name) => rows.map((row) => row[name] ?? null)),
  )
}

/** The columns of a hostile row and their types. */
export const JOB_COLUMNS: Readonly<Record<string, string>> = {
  id: 'uuid',
  active_job_id: 'uuid',
  job_class: 'text',
  serialized_params: 'jsonb',
  queue_name: 'text',
  priority: 'int',
  scheduled_at: 'timestamp',
  created_at: 'timestamp',
  updated_at: 'timestamp',
  performed_at: 'timestamp',
  executions_count: 'int',
  error: 'text',
  error_event: 'smallint',
  labels: 'text[]',
  concurrency_key: 'text',
  cron_key: 'text',
  lock_type: 'smallint',
  batch_id: 'uuid',
  batch_callback_id: 'uuid',
  is_discrete: 'boolean',
}

/** The columns of a hostile batch and their types. */
export const BATCH_COLUMNS: Readonly<Record<string, string>> = {
  id: 'uuid',
  created_at: 'timestamp',
  updated_at: 'timestamp',
  description: 'text',
  serialized_properties: 'jsonb',
  on_finish: 'text',
  on_success: 'text',
  on_discard: 'text',
  callback_queue_name: 'text',
  callback_priority: 'int',
  enqueued_at: 'timestamp',
  discarded_at: 'timestamp',
}
