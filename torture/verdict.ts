import type { Pool } from 'pg'
import { EXCUSES_OVERLAP, EXCUSES_REPEATED, IS_OVERLAP, IS_REPEATED } from './excuses.ts'
import { CALLBACK_EVENT, DISCARDING_ATTEMPT, HISTORIES } from './histories.ts'
import { LATE_IN_RUBY } from './late-discards.ts'
import { LEDGER_TABLES } from './ledger.ts'

/** Two attempts of one job, counted by the sides of the earlier and the later one. */
export interface Pairs {
  readonly pair: string
  /** Nothing explains them. */
  readonly unexplained: number
  /** The earlier one had lost its lock, or runs beside another of Ruby's own. */
  readonly explained: number
}

export interface Verdict {
  readonly jobs: number
  readonly attempts: Readonly<Record<string, number>>
  /** Those of jobs that either side may run. */
  readonly sharedAttempts: Readonly<Record<string, number>>
  readonly interrupted: number
  /** Jobs without an end, or without a body that says it is done. */
  readonly lost: number
  /** Jobs that are done, and whose rows Ruby workers left as discarded. */
  readonly spoilt: number
  readonly overlaps: readonly Pairs[]
  /** Attempts after a success that was written. */
  readonly repeated: readonly Pairs[]
  readonly early: Readonly<Record<string, number>>
  readonly callbacks: readonly CallbackCount[]
  /** Executions of ended jobs that were never closed, by side; without those that two Ruby workers disturbed. */
  readonly openExecutions: Readonly<Record<string, number>>
  readonly histories: readonly string[]
  readonly reruns: readonly Rerun[]
}

/** How long jobs of killed workers waited for their next attempt, milliseconds. */
export interface Rerun {
  /** How the dead worker had claimed, and the one that ran the job again. */
  readonly dead: string
  readonly next: string
  /** At once, or only after the dead process had been forgotten: then counted from there. */
  readonly since: 'death' | 'expiry'
  readonly jobs: number
  readonly p50: number
  readonly max: number
}

export interface CallbackCount {
  readonly batches: string
  readonly event: string
  readonly owed: number
  readonly given: number
  readonly missing: number
  /** The process in Ruby that ended the batch met a fault before it had enqueued them. */
  readonly lost_by_ruby: number
  /** A process in Ruby stamped the batch long after the failure: docs/batches.md says that such a batch waits for a person. */
  readonly unproven: number
  readonly duplicated: number
  /** A process in Ruby that was held up discarded a batch that had come back: compat/batch-late-stamp.test.ts. */
  readonly late_in_ruby: number
  readonly invented: number
}

const TABLES = ['fleet_attempts', 'fleet_actions', 'fleet_deaths', 'fleet_faults', 'fleet_workers'] as const

/** Brings the ledger into the database of the jobs, where both can be compared. */
export const copyLedger = async (ledger: Pool, pool: Pool): Promise<void> => {
  await pool.query(LEDGER_TABLES)
  for (const table of TABLES) {
    const { rows } = await ledger.query<{ text: string | null }>(`SELECT json_agg(t)::text AS text FROM ${table} t`)
    const text = rows[0]?.text ?? '[]'
    await pool.query(`INSERT INTO ${table} SELECT * FROM json_populate_recordset(NULL::${table}, $1)`, [text])
  }
}

/** Finds to each attempt of the ledger what the tables say; call it once, when everything has ended. */
export const prepareRuns = async (pool: Pool): Promise<void> => {
  await pool.query(RUNS)
}

/** An outcome can wait long between the moment it bears and its commit; the torture's own server remembers the latter. */
const COMMITTED_AT = `CASE WHEN current_setting('track_commit_timestamp') = 'on' THEN pg_xact_commit_timestamp(e.xmin) END`

/**
 * Each attempt of the ledger with its execution row: when it was claimed, until when it ran, whether its outcome was written.
 * One of Ruby is disturbed when another of Ruby ran beside it: whichever of the two ends first gives the job away while the other still
 * runs. One in Node is when such a Ruby worker then wrote over its claim, or one that had the job before and met a fault since: Ruby
 * writes an outcome late, and asks nobody whether the job is still its own. The outcome in Node must not have been written.
 */
const RUNS = `
CREATE TABLE fleet_runs AS
SELECT a.*, coalesce(least(a.ended_at, death.at), 'infinity') AS until,
  coalesce(execution.created_at AT TIME ZONE 'UTC', a.started_at - interval '30 seconds') AS claimed_at,
  coalesce(execution.finished_at IS NOT NULL AND execution.error_event IS DISTINCT FROM 0 AND execution.error_event IS DISTINCT FROM 5, false) AS is_recorded,
  coalesce(execution.finished_at IS NOT NULL AND execution.error IS NULL, false) AS is_success,
  execution.finished_at AT TIME ZONE 'UTC' AS written_at,
  execution.committed_at,
  EXISTS (
    SELECT FROM fleet_faults fault
    WHERE takes_locks AND (fault.worker = a.worker OR fault.worker IS NULL)
    AND coalesce(fault.over_at, 'infinity') >= coalesce(execution.created_at AT TIME ZONE 'UTC', a.started_at - interval '30 seconds')
    AND fault.at <= coalesce(least(a.ended_at, death.at), 'infinity')
  ) AS met_fault,
  EXISTS (
    SELECT FROM fleet_faults fault
    WHERE takes_locks AND (fault.worker = a.worker OR fault.worker IS NULL)
    AND coalesce(fault.over_at, 'infinity') >= execution.created_at AT TIME ZONE 'UTC' AND fault.at <= execution.committed_at
  ) AS lost_lock_before_commit
FROM fleet_attempts a
JOIN fleet_workers worker USING (worker)
LEFT JOIN fleet_deaths death USING (worker)
LEFT JOIN LATERAL (
  SELECT e.*, coalesce(${COMMITTED_AT}, e.finished_at AT TIME ZONE 'UTC') AS committed_at FROM good_job_executions e
  WHERE e.active_job_id = a.job_id AND e.process_id = worker.process_id AND e.created_at AT TIME ZONE 'UTC' <= a.started_at
  -- That of an attempt before: this one left none, its round was undone.
  AND NOT EXISTS (
    SELECT FROM fleet_attempts earlier
    WHERE earlier.job_id = a.job_id AND earlier.worker = a.worker
    AND earlier.started_at >= e.created_at AT TIME ZONE 'UTC' AND earlier.started_at < a.started_at
  )
  ORDER BY e.created_at DESC LIMIT 1
) AS execution ON true;
CREATE INDEX ON fleet_runs (job_id);
ALTER TABLE fleet_runs ADD COLUMN is_disturbed boolean NOT NULL DEFAULT false;
UPDATE fleet_runs a SET is_disturbed = true
WHERE side = 'ruby' AND EXISTS (
  SELECT FROM fleet_runs b
  WHERE b.job_id = a.job_id AND b.id <> a.id AND b.side = 'ruby' AND b.started_at < a.until AND a.started_at < b.until
);
UPDATE fleet_runs a SET is_disturbed = true
WHERE side = 'node' AND NOT is_recorded AND EXISTS (
  SELECT FROM fleet_runs b
  WHERE b.job_id = a.job_id AND b.is_disturbed AND b.side = 'ruby' AND b.started_at < a.started_at AND a.claimed_at < b.until
);
UPDATE fleet_runs a SET is_disturbed = true
WHERE side = 'node' AND NOT is_recorded AND EXISTS (
  SELECT FROM fleet_runs late JOIN fleet_faults fault ON fault.worker = late.worker OR fault.worker IS NULL
  WHERE late.job_id = a.job_id AND late.side = 'ruby' AND late.started_at < a.started_at
  AND late.written_at > late.until + interval '1 second' AND late.written_at >= a.claimed_at - interval '1 second'
  AND fault.at <= late.written_at AND coalesce(fault.over_at, 'infinity') >= late.started_at
);
ANALYZE`

const pairs = (condition: string, excuse: string): string => `
SELECT a.side || ', ' || b.side AS pair,
  count(*) FILTER (WHERE NOT (${excuse}))::integer AS unexplained,
  count(*) FILTER (WHERE ${excuse})::integer AS explained
FROM fleet_runs a JOIN fleet_runs b ON b.job_id = a.job_id AND (b.started_at, b.id) > (a.started_at, a.id)
WHERE ${condition} GROUP BY 1 ORDER BY 1`

/**
 * A job whose body is done and whose row says discarded, because a Ruby worker ran it early or beside another: then the row keeps the
 * error of the other's retry.
 */
const IS_SPOILT = `good_jobs.finished_at IS NOT NULL AND good_jobs.error IS NOT NULL
  AND EXISTS (SELECT FROM fleet_runs WHERE job_id = good_jobs.id AND outcome = 'done')
  AND EXISTS (SELECT FROM fleet_runs WHERE job_id = good_jobs.id AND side = 'ruby' AND (is_disturbed OR started_at < due_at))`

const LOST = `
SELECT id FROM unnest($1::uuid[]) AS wanted(id)
LEFT JOIN good_jobs USING (id)
WHERE good_jobs.finished_at IS NULL OR good_jobs.error IS NOT NULL AND NOT (${IS_SPOILT})
UNION
SELECT id FROM good_jobs
WHERE (finished_at IS NULL OR error IS NOT NULL AND NOT (${IS_SPOILT}))
OR (job_class <> 'Fleet::EnqueueJob' AND NOT EXISTS (SELECT FROM fleet_attempts WHERE job_id = good_jobs.id AND outcome = 'done'))`

const BY_SIDE = (what: string, where: string) => `
SELECT side, count(*)::integer AS count FROM (${what}) AS found WHERE ${where} GROUP BY side`

const OPEN_EXECUTIONS = `
SELECT side FROM good_job_executions execution
JOIN good_jobs ON good_jobs.id = execution.active_job_id AND good_jobs.finished_at IS NOT NULL
JOIN fleet_workers worker ON worker.process_id = execution.process_id
WHERE execution.finished_at IS NULL
AND NOT EXISTS (SELECT FROM fleet_runs WHERE job_id = execution.active_job_id AND is_disturbed)`

/** Of an `attempt`: a worker in Ruby made it, and died or lost its connection before it can have enqueued what was owed `at` a time. */
const IN_FAULTY_RUBY = `
      JOIN fleet_workers worker ON worker.process_id = attempt.process_id AND worker.side = 'ruby'
      LEFT JOIN fleet_deaths death ON death.worker = worker.worker
      LEFT JOIN fleet_faults fault ON takes_locks AND (fault.worker = worker.worker OR fault.worker IS NULL)
      WHERE least(death.at, fault.at) AT TIME ZONE 'UTC' < attempt.at + interval '30 seconds'
      AND greatest(death.at, fault.over_at) AT TIME ZONE 'UTC' > attempt.at - interval '1 second'`

/**
 * Beside Rails 7.2 Ruby enqueues callbacks after the commit that makes them owed: a fault of its process in between loses them. So is it
 * told apart when a Ruby process that had just run a member met one about when the last member was seen to have ended (whichever process
 * looks first does so), or for on_discard the one that broke.
 */
const CALLBACKS = `
WITH batch AS (
  SELECT id, description,
    EXISTS (
      SELECT FROM (
        SELECT e.process_id, batch.jobs_finished_at AS at FROM good_jobs member JOIN good_job_executions e ON e.active_job_id = member.id
        WHERE member.batch_id = batch.id
        AND e.finished_at BETWEEN batch.jobs_finished_at - interval '30 seconds' AND batch.jobs_finished_at
      ) AS attempt ${IN_FAULTY_RUBY}
    ) AS ended_in_faulty_ruby,
    EXISTS (
      SELECT FROM (
        SELECT e.process_id, e.finished_at AS at FROM good_jobs member JOIN good_job_executions e ON e.active_job_id = member.id
        WHERE member.batch_id = batch.id AND e.error_event IN (1, 5)
      ) AS attempt ${IN_FAULTY_RUBY}
    ) AS broke_in_faulty_ruby,
    EXISTS (${DISCARDING_ATTEMPT}) OR by_operator.is_done AS was_discarded,
    by_operator.is_unknown AS may_be_discarded,
    (
      SELECT max(e.finished_at) < batch.discarded_at - interval '5 seconds' AND bool_or(worker.side = 'ruby')
      FROM good_jobs member
      JOIN good_job_executions e ON e.active_job_id = member.id
      LEFT JOIN fleet_workers worker USING (process_id)
      WHERE member.batch_id = batch.id AND e.error_event IN (1, 5) AND e.finished_at <= batch.discarded_at
    ) IS TRUE AS was_stamped_late
  FROM good_job_batches batch
  -- A job that waits has no attempt that would tell of it.
  CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(is_done), false) AS is_done, coalesce(bool_or(is_done IS NULL), false) AS is_unknown
    FROM fleet_actions JOIN good_jobs member ON member.id = job_id
    WHERE member.batch_id = batch.id AND action = 'force discard'
  ) AS by_operator
  WHERE enqueued_at IS NOT NULL
),
owed AS (
  SELECT id, description, event,
    CASE event WHEN 'discard' THEN broke_in_faulty_ruby ELSE ended_in_faulty_ruby END AS is_lost_by_ruby, event <> 'discard' OR was_discarded AS is_owed,
    event = 'discard' AND may_be_discarded AS may_be_owed,
    event = 'success' AND was_stamped_late AS is_unproven,
    (
      SELECT count(*) FROM good_jobs
      WHERE batch_callback_id = batch.id AND ${CALLBACK_EVENT} = event
    ) AS given,
    (
      SELECT count(*) FROM good_jobs late
      WHERE event = 'discard' AND late.batch_callback_id = batch.id AND late.${CALLBACK_EVENT} = 'discard' AND ${LATE_IN_RUBY}
    ) AS late
  FROM batch, unnest(ARRAY['success', 'finish', 'discard']) AS event
)
SELECT description AS batches, event, count(*) FILTER (WHERE is_owed)::integer AS owed, sum(given)::integer AS given,
  count(*) FILTER (WHERE is_owed AND given = 0 AND NOT is_lost_by_ruby AND NOT is_unproven)::integer AS missing,
  count(*) FILTER (WHERE is_owed AND given = 0 AND is_lost_by_ruby AND NOT is_unproven)::integer AS lost_by_ruby,
  count(*) FILTER (WHERE is_owed AND given = 0 AND is_unproven)::integer AS unproven,
  coalesce(sum(given - late - 1) FILTER (WHERE given - late > 1), 0)::integer AS duplicated, sum(late)::integer AS late_in_ruby,
  count(*) FILTER (WHERE NOT is_owed AND NOT may_be_owed AND given > 0)::integer AS invented
FROM owed GROUP BY 1, 2 ORDER BY 1, 2`

/** Compares what jobs said with what the tables say. */
export const judge = async (pool: Pool, wanted: readonly string[]): Promise<Verdict> => {
  const rows = async <T extends object>(text: string, values: unknown[] = []): Promise<T[]> =>
    (await pool.query<T & Record<string, unknown>>(text, values)).rows
  const bySide = async (text: string) =>
    Object.fromEntries((await rows<{ side: string; count: number }>(text)).map(({ side, count }) => [side, count]))
  const counts = await rows<{ jobs: number; interrupted: number }>(COUNTS)
  return {
    jobs: counts[0]?.jobs ?? 0,
    interrupted: counts[0]?.interrupted ?? 0,
    attempts: await bySide(BY_SIDE('SELECT side FROM fleet_attempts', 'true')),
    sharedAttempts: await bySide(
      BY_SIDE('SELECT side, job_class FROM fleet_attempts', "job_class = 'Fleet::SharedJob'"),
    ),
    lost: (await rows(LOST, [wanted])).length,
    spoilt: (await rows(`SELECT FROM good_jobs WHERE ${IS_SPOILT}`)).length,
    overlaps: await rows<Pairs>(pairs(IS_OVERLAP, EXCUSES_OVERLAP)),
    repeated: await rows<Pairs>(pairs(IS_REPEATED, EXCUSES_REPEATED)),
    early: await bySide(BY_SIDE('SELECT side, started_at, due_at FROM fleet_attempts', 'started_at < due_at')),
    callbacks: await rows<CallbackCount>(CALLBACKS),
    openExecutions: await bySide(BY_SIDE(OPEN_EXECUTIONS, 'true')),
    histories: (await rows<{ text: string }>(HISTORIES)).map(({ text }) => text),
    reruns: await rows<Rerun>(RERUNS),
  }
}

const COUNTS = `
SELECT (SELECT count(*)::integer FROM good_jobs) AS jobs,
  (SELECT count(*)::integer FROM good_job_executions WHERE error_event = 0) AS interrupted`

/**
 * The next attempt after one that its worker's death cut off. A Ruby worker on advisory need not wait until the dead one has expired.
 */
const RERUNS = `
SELECT dead, next, since, count(*)::integer AS jobs,
  round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::integer AS p50, round(max(ms))::integer AS max
FROM (
  SELECT a.strategy AS dead, b.strategy AS next, origin.since, extract(epoch FROM b.started_at - origin.at) * 1000 AS ms
  FROM fleet_runs a
  JOIN fleet_deaths death USING (worker)
  JOIN LATERAL (
    SELECT * FROM fleet_runs WHERE job_id = a.job_id AND started_at > death.at ORDER BY started_at LIMIT 1
  ) AS b ON true
  CROSS JOIN LATERAL (
    SELECT * FROM (VALUES ('expiry', death.forgotten_at), ('death', death.at)) AS each(since, at)
    WHERE at < b.started_at AND (since = 'death' OR b.strategy <> 'advisory')
    ORDER BY at DESC LIMIT 1
  ) AS origin
  WHERE a.until = death.at AND a.started_at <= death.at AND NOT a.is_recorded
) AS rerun GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`
