import { randomUUID } from 'node:crypto'
import { batchLockKey } from '../../src/sql/advisory-lock.ts'
import type { World } from '../support/harness.ts'

let aheadMs = 0

/** The time of Ruby's clock; two calls may be equal. */
const now = (): string => new Date(Date.now() + aheadMs).toISOString()

/** Runs `work`; what it does as Ruby happens on a host whose clock is `aheadSeconds` ahead. */
export const onHost = async <T>(aheadSeconds: number, work: () => Promise<T>): Promise<T> => {
  aheadMs = aheadSeconds * 1000
  try {
    return await work()
  } finally {
    aheadMs = 0
  }
}

/**
 * The dashboard's retry button and its mass action: the row, then the message. The batch is not checked. With `isForRuby` the
 * job starts too late for a worker of this process, so that `rubyPerform` can have it.
 */
export const rubyRetry = async ({ sql }: World, jobId: string, { isForRuby = false } = {}): Promise<void> => {
  const at = now()
  await sql('UPDATE good_jobs SET error_event = 3, updated_at = $2 WHERE id = $1', [jobId, at])
  await sql(
    `UPDATE good_jobs
     SET serialized_params = serialized_params || jsonb_build_object(
           'executions', coalesce((serialized_params->>'executions')::integer, 0) + 1,
           'enqueued_at', to_char($2::timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US000"Z"'),
           'provider_job_id', id::text),
       scheduled_at = $2::timestamp + make_interval(hours => $3), created_at = $2, updated_at = $2, performed_at = NULL, finished_at = NULL
     WHERE id = $1 AND finished_at IS NOT NULL AND error IS NOT NULL`,
    [jobId, at, isForRuby ? 1 : 0],
  )
  await sql(
    `SELECT pg_notify('good_job', json_build_object('queue_name', queue_name)::text) FROM good_jobs WHERE id = $1`,
    [jobId],
  )
}

/** The dashboard's discard and force-discard: only the row and its open execution. */
export const rubyDiscard = async (
  { sql }: World,
  jobId: string,
  message = 'Discarded through dashboard',
): Promise<void> => {
  const values = [jobId, now(), `GoodJob::Job::DiscardJobError: ${message}`]
  await sql(
    'UPDATE good_jobs SET finished_at = $2, error = $3, error_event = 5, updated_at = $2 WHERE id = $1 AND finished_at IS NULL',
    values,
  )
  await sql(
    `UPDATE good_job_executions SET finished_at = $2, error = $3, error_event = 5, duration = '0', updated_at = $2
     WHERE active_job_id = $1 AND finished_at IS NULL`,
    values,
  )
}

/** A whole attempt of a Ruby worker, without the bookkeeping of the batch that comes after it. */
export const rubyPerform = async ({ sql }: World, jobId: string, error: string | null = null): Promise<void> => {
  const startedAt = now()
  await sql(
    `INSERT INTO good_job_executions (id, created_at, updated_at, active_job_id, job_class, queue_name, serialized_params,
       scheduled_at, finished_at, error, error_event, duration, process_id)
     SELECT $2, $3, $3, id, job_class, queue_name, serialized_params, scheduled_at, $4, $5, $6, '1 millisecond', $7
     FROM good_jobs WHERE id = $1`,
    [jobId, randomUUID(), startedAt, now(), error, error === null ? null : 1, randomUUID()],
  )
  await sql(
    `UPDATE good_jobs SET performed_at = $2, finished_at = $3, error = $4, error_event = $5, updated_at = $3,
       executions_count = coalesce(executions_count, 0) + 1
     WHERE id = $1`,
    [jobId, startedAt, now(), error, error === null ? null : 1],
  )
}

/** GoodJob's own step after an attempt, under the batch lock; `isDiscarded` says what the job was like in memory. */
export const rubyBookkeeping = async (
  world: World,
  batchId: string,
  options: { readonly isDiscarded?: boolean; readonly hasJobsFinishedAt?: boolean } = {},
): Promise<void> => {
  const client = await world.pool.connect()
  const key = batchLockKey(batchId)
  try {
    await client.query('SELECT pg_advisory_lock($1)', [key])
    await discardOrFinish(world, batchId, options)
    await client.query('SELECT pg_advisory_unlock($1)', [key])
  } finally {
    client.release()
  }
}

const discardOrFinish = async (
  world: World,
  batchId: string,
  { isDiscarded = false, hasJobsFinishedAt = true },
): Promise<void> => {
  const { sql } = world
  const ended = hasJobsFinishedAt ? 'jobs_finished_at' : 'finished_at'
  if (isDiscarded) {
    const rows = await sql(
      'UPDATE good_job_batches SET discarded_at = $2, updated_at = $2 WHERE id = $1 AND discarded_at IS NULL RETURNING id',
      [batchId, now()],
    )
    if (rows.length > 0) await rubyCallback(world, batchId, 'discard')
  }
  const completed = await sql<{ discarded_at: Date | null }>(
    `UPDATE good_job_batches SET ${ended} = $2, updated_at = $2
     WHERE id = $1 AND enqueued_at IS NOT NULL AND ${ended} IS NULL
       AND NOT EXISTS (SELECT 1 FROM good_jobs WHERE batch_id = $1 AND finished_at IS NULL)
     RETURNING discarded_at`,
    [batchId, now()],
  )
  if (completed[0] === undefined) return
  if (completed[0].discarded_at === null) await rubyCallback(world, batchId, 'success')
  await rubyCallback(world, batchId, 'finish')
}

const rubyCallback = async (world: World, batchId: string, event: 'discard' | 'success' | 'finish'): Promise<void> => {
  const [batch] = await world.sql<Record<string, string | null>>('SELECT * FROM good_job_batches WHERE id = $1', [
    batchId,
  ])
  const jobClass = batch?.[`on_${event}`]
  if (!jobClass) return
  const id = randomUUID()
  const at = now()
  const params = {
    job_class: jobClass,
    job_id: id,
    provider_job_id: null,
    queue_name: 'default',
    priority: null,
    arguments: [
      { _aj_globalid: `gid://app/GoodJob::Batch/${batchId}` },
      {
        event: { _aj_serialized: 'ActiveJob::Serializers::SymbolSerializer', value: event },
        _aj_symbol_keys: ['event'],
      },
    ],
    executions: 0,
    exception_executions: {},
    locale: 'en',
    timezone: 'UTC',
    enqueued_at: at,
    scheduled_at: null,
  }
  await world.insert({
    id,
    active_job_id: id,
    job_class: jobClass,
    serialized_params: JSON.stringify(params),
    scheduled_at: at,
    created_at: at,
    updated_at: at,
    batch_callback_id: batchId,
  })
  await world.sql(`SELECT pg_notify('good_job', '{"queue_name":"default"}')`)
}
