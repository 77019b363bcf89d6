import type { Pauses } from '../job/pauses.ts'
import type { CandidateOptions } from './claim/candidates.ts'
import { countOf, type Queryable, rowsOf } from './connection/queryable.ts'
import { type Facts, serverNow } from './database.ts'
import type { Parameters } from './text.ts'

/** What can be paused, under the keys of the stored hash. */
export type PauseKey = 'queues' | 'job_classes' | 'labels'

/** A member of a stored hash of pauses as text[]; a value that is not an array counts as empty. Ruby fails at such a value. */
const memberOf = (value: string, key: PauseKey): string =>
  `ARRAY(SELECT name FROM jsonb_array_elements_text(CASE jsonb_typeof(${value} -> '${key}') WHEN 'array' THEN ${value} -> '${key}' ELSE '[]' END) AS name WHERE name IS NOT NULL)`

/** Planned once for a statement, read by key once for each execution. */
const paused = (key: PauseKey): string =>
  `coalesce((SELECT ${memberOf('value', key)} FROM good_job_settings WHERE key = 'pauses'), '{}'::text[])`

/**
 * Conditions of a claim that honours pauses. A job without a queue counts as paused while any queue is paused, as in GoodJob. A pool
 * reads no row if its only queue or all of its classes are paused. The planner assumes that a CASE keeps half of the rows. It would assume
 * that lists it cannot see match nearly all rows, and then sort the whole queue for each claim.
 */
export const notPaused = (
  { selector, jobClasses }: Pick<CandidateOptions, 'selector' | 'jobClasses'>,
  parameters: Parameters,
): string => {
  const [queue, ...more] = selector.kind === 'include' ? selector.queues : []
  const isOnly = queue !== undefined && more.length === 0
  return `
    AND CASE
      WHEN queue_name = ANY (${paused('queues')}) THEN false
      WHEN queue_name IS NULL AND cardinality(${paused('queues')}) > 0 THEN false
      WHEN job_class = ANY (${paused('job_classes')}) THEN false
      WHEN labels && ${paused('labels')} THEN false
      ELSE true
    END
    AND NOT ${parameters.add(jobClasses, 'text[]')} <@ ${paused('job_classes')}${
      isOnly ? `\n    AND NOT ${parameters.add(queue, 'text')} = ANY (${paused('queues')})` : ''
    }`
}

const FIND_PAUSES = `SELECT ${paused('queues')} AS queues, ${paused('job_classes')} AS job_classes, ${paused('labels')} AS labels`

/** Returns what is paused now. */
export const findPauses = async (db: Queryable): Promise<Pauses> => {
  const [row] = await rowsOf<{ queues: string[]; job_classes: string[]; labels: string[] }>(db, { text: FIND_PAUSES })
  return { queues: row?.queues ?? [], jobClasses: row?.job_classes ?? [], labels: row?.labels ?? [] }
}

/** The stored hash with its three arrays, whatever it contained before; unknown keys stay. */
const repaired = (value: string): string => {
  const members = (['queues', 'job_classes', 'labels'] as const).map(
    (key) => `'${key}', to_jsonb(${memberOf(value, key)})`,
  )
  return `(CASE jsonb_typeof(${value}) WHEN 'object' THEN ${value} ELSE '{}' END || jsonb_build_object(${members.join(', ')}))`
}

// $1 key text · $2 name text. The row lock of the conflict keeps two concurrent changes from losing one.
const pauseText = (facts: Facts) => `
INSERT INTO good_job_settings (key, value, created_at, updated_at)
VALUES ('pauses', ${repaired(`'{}'::jsonb`)} || jsonb_build_object($1::text, jsonb_build_array($2::text)), ${serverNow(facts)}, ${serverNow(facts)})
ON CONFLICT (key) DO UPDATE
SET value = jsonb_set(${repaired('good_job_settings.value')}, ARRAY[$1::text],
      (${repaired('good_job_settings.value')} -> $1::text) - $2::text || jsonb_build_array($2::text)),
    updated_at = excluded.updated_at`

// $1 key text · $2 name text
const unpauseText = (facts: Facts) => `
UPDATE good_job_settings
SET value = jsonb_set(${repaired('value')}, ARRAY[$1::text], (${repaired('value')} -> $1::text) - $2::text), updated_at = ${serverNow(facts)}
WHERE key = 'pauses' AND value -> $1::text @> jsonb_build_array($2::text)`

/** Pauses jobs of a queue, class or label. GoodJob: Setting.pause. */
export const pause = async (db: Queryable, facts: Facts, key: PauseKey, name: string): Promise<void> => {
  await countOf(db, { text: pauseText(facts), values: [key, name] })
}

/** Ends a pause; returns whether it existed. GoodJob: Setting.unpause. */
export const unpause = async (db: Queryable, facts: Facts, key: PauseKey, name: string): Promise<boolean> =>
  (await countOf(db, { text: unpauseText(facts), values: [key, name] })) > 0
