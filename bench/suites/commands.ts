import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Client } from 'pg'
import { BATCH_STATES } from '../../src/sql/batch/list.ts'
import { alternate, type Suite } from '../run.ts'
import { addFinished, addWaiting, fillTables, settle } from '../seed.ts'

const FINISHED = 5_000_000
const WAITING = 200_000

/**
 * What else a command may have to find among them. Batches of ten of the jobs that ended last, each twentieth discarded, and in those
 * nothing is broken any more; fifteen times as many older batches without members, and behind all of them one that is pending and one that
 * runs; 50,000 discarded jobs; fifty jobs that run, five that were interrupted, twenty that wait for a retry; a thousand with a label.
 */
const scene = (batches: number) => `
CREATE TEMP TABLE batch AS
SELECT gen_random_uuid() AS id, (now() AT TIME ZONE 'UTC') - number * interval '30 seconds' AS at, number
FROM generate_series(1, ${batches}) AS number;
INSERT INTO good_job_batches (id, created_at, updated_at, description, on_success, enqueued_at, discarded_at, jobs_finished_at, finished_at)
SELECT id, at, at, 'batch ' || number, 'DoneJob', at, CASE WHEN number % 20 = 0 THEN at END, at, at FROM batch;
INSERT INTO good_job_batches (id, created_at, updated_at, description, enqueued_at, jobs_finished_at, finished_at)
SELECT gen_random_uuid(), at, at, 'old batch', at, at, at
FROM generate_series(1, ${batches * 15}) AS number,
  LATERAL (SELECT (now() AT TIME ZONE 'UTC') - interval '7 days' - number * interval '1 second' AS at) AS ended;
INSERT INTO good_job_batches (id, created_at, updated_at, description, enqueued_at)
SELECT gen_random_uuid(), at, at, description, CASE WHEN description = 'running batch' THEN at END
FROM (VALUES ('pending batch'), ('running batch')) AS open (description),
  LATERAL (SELECT (now() AT TIME ZONE 'UTC') - interval '13 days' AS at) AS created;
CREATE TEMP TABLE ended AS
SELECT id, row_number() OVER (ORDER BY finished_at DESC) AS number
FROM good_jobs WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT ${batches * 15};
UPDATE good_jobs SET batch_id = batch.id
FROM ended JOIN batch ON batch.number = ended.number / 10 WHERE good_jobs.id = ended.id;
UPDATE good_jobs SET labels = ARRAY['vip'] FROM ended WHERE good_jobs.id = ended.id AND ended.number <= 1000;
UPDATE good_jobs SET error = 'StandardError: broken', error_event = 5
FROM ended WHERE good_jobs.id = ended.id AND ended.number > ${batches * 10} AND ended.number % 2 = 0;
INSERT INTO good_job_processes (id, created_at, updated_at, state)
VALUES (gen_random_uuid(), now(), (now() AT TIME ZONE 'UTC') + interval '1 day', '{"hostname":"bench","pid":1,"schedulers":[{"queues":"*"}]}');
UPDATE good_jobs SET locked_by_id = (SELECT id FROM good_job_processes), locked_at = now(), performed_at = now()
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL ORDER BY created_at LIMIT 50);
UPDATE good_jobs SET performed_at = now()
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL ORDER BY created_at DESC LIMIT 5);
UPDATE good_jobs SET batch_id = (SELECT id FROM good_job_batches WHERE description = 'running batch')
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL AND performed_at IS NULL ORDER BY created_at LIMIT 1000);
UPDATE good_jobs SET scheduled_at = (now() AT TIME ZONE 'UTC') + interval '1 day', error = 'StandardError: broken', error_event = 3,
  serialized_params = serialized_params || '{"executions": 2}'
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL AND performed_at IS NULL AND batch_id IS NULL ORDER BY created_at LIMIT 20)`

/** The ids that commands name. */
const IDS = `
SELECT id AS "JOB", batch_id AS "BATCH",
  (SELECT id FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL ORDER BY priority DESC, created_at DESC LIMIT 1) AS "LAST"
FROM good_jobs
WHERE batch_id = (SELECT id FROM good_job_batches WHERE discarded_at IS NOT NULL ORDER BY created_at DESC LIMIT 1) LIMIT 1`

/** The expected output distinguishes a failed command from a quick one. */
const COMMANDS: readonly (readonly [command: string, prints: RegExp])[] = [
  ['--version', /^\d/],
  ['jobs list', /^id /],
  ['jobs list --state running', /^id /],
  ['jobs list --state queued', /^id /],
  ['jobs list --state scheduled', /^No jobs/],
  ['jobs list --state retried', /^id /],
  ['jobs list --state succeeded', /^id /],
  ['jobs list --state discarded', /^id /],
  ['jobs list --class NoopJob', /^id /],
  ['jobs list --class NoSuchJob', /No jobs/],
  ['jobs list --label vip', /^id /],
  ['jobs list --batch BATCH', /^id /],
  ['jobs list --queue none --state discarded', /No jobs|Searched/],
  ['jobs show JOB', /Attempts/],
  ['jobs why JOB', /succeeded|discarded/],
  ['jobs why LAST', /^It is due .* or more due jobs of queue/],
  // Without --yes and a terminal nothing is changed.
  ['jobs discard --queue bench', /10000 or more jobs/],
  ['jobs retry --queue none', /No job matches|0 or more jobs/],
  ['batches list', /^id /],
  ...BATCH_STATES.map((state) => [`batches list --state ${state}`, /^id |Searched/] as const),
  ['batches list --unproven', /^id /],
  ['batches show BATCH', /Timeline/],
  ['batches recover BATCH --dry-run', /unproven/],
  ['pause --queue nobodys', /nobodys/],
  ['pauses', /nobodys|Nothing/],
  ['unpause --queue nobodys', /Nothing is paused/],
  ['schema check', /GoodJob/],
  ['cleanup_preserved_jobs', /^Deleted 0 jobs/],
  ['doctor', /Postgres/],
]

const SCENES = COMMANDS.map(([command, prints]) => ({
  name: `good-job ${command}`,
  key: { action: command },
  family: 'commands',
  x: 0,
  command,
  prints,
}))

/** Where the command line of this project is. */
const CLI = new URL('../../dist/cli.js', import.meta.url).pathname

const run = async (command: string, url: string): Promise<string> => {
  const child = spawn(process.execPath, [CLI, ...command.split(' ')], { env: { ...process.env, DATABASE_URL: url } })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  await once(child, 'close')
  return output
}

/** How long an operator waits for a command beside millions of jobs, the start of Node included. */
export const commandsSuite: Suite = {
  name: 'commands',
  run: async (options) => {
    const finished = Math.max(1_000, Math.round(FINISHED * options.scale))
    const waiting = Math.max(100, Math.round(WAITING * options.scale))
    const fill = async (client: Client): Promise<void> => {
      await fillTables(client, finished + waiting, async () => {
        await addFinished(client, finished)
        await addWaiting(client, { jobs: waiting })
      })
      await client.query(scene(Math.round(finished / 250)))
      await settle(client)
    }
    const database = await options.server.database(`commands ${finished}`, fill)
    const { rows } = await database.client.query<Record<string, string>>(IDS)
    const named = (command: string) => command.replaceAll(/JOB|BATCH|LAST/g, (name) => rows[0]?.[name] ?? name)
    // One run before the measurement warms the caches.
    for (const { command } of SCENES) await run(named(command), database.url)
    const series = await alternate(options, SCENES, async ({ command, prints }) => {
      const startedMs = performance.now()
      const output = await run(named(command), database.url)
      const value = (performance.now() - startedMs) / 1000
      if (!prints.test(output)) throw new Error(`good-job ${command} printed: ${output}`)
      return { value, size: finished }
    })
    await database.drop()
    const title = `Commands beside ${finished.toLocaleString('en')} finished and ${waiting.toLocaleString('en')} waiting jobs`
    return [{ id: 'commands', title, unit: 'seconds', series }]
  },
}
