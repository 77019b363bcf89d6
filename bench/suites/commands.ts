import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Client } from 'pg'
import { alternate, type Suite } from '../run.ts'
import { addFinished, addWaiting, fillTables, settle } from '../seed.ts'

const FINISHED = 5_000_000
const WAITING = 200_000

/**
 * What else a command may have to find among them. Batches of ten of the jobs that ended last, each twentieth discarded, and in those
 * nothing is broken any more; 50,000 discarded jobs; fifty that run, and five that were interrupted. $1 batches
 */
const SCENE = (batches: number) => `
CREATE TEMP TABLE batch AS
SELECT gen_random_uuid() AS id, (now() AT TIME ZONE 'UTC') - number * interval '30 seconds' AS at, number
FROM generate_series(1, ${batches}) AS number;
INSERT INTO good_job_batches (id, created_at, updated_at, description, on_success, enqueued_at, discarded_at, jobs_finished_at, finished_at)
SELECT id, at, at, 'batch ' || number, 'DoneJob', at, CASE WHEN number % 20 = 0 THEN at END, at, at FROM batch;
CREATE TEMP TABLE ended AS
SELECT id, row_number() OVER (ORDER BY finished_at DESC) AS number
FROM good_jobs WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT ${batches * 15};
UPDATE good_jobs SET batch_id = batch.id
FROM ended JOIN batch ON batch.number = ended.number / 10 WHERE good_jobs.id = ended.id;
UPDATE good_jobs SET error = 'StandardError: broken', error_event = 5
FROM ended WHERE good_jobs.id = ended.id AND ended.number > ${batches * 10} AND ended.number % 2 = 0;
INSERT INTO good_job_processes (id, created_at, updated_at, state)
VALUES (gen_random_uuid(), now(), (now() AT TIME ZONE 'UTC') + interval '1 day', '{"hostname":"bench","pid":1,"schedulers":[{"queues":"*"}]}');
UPDATE good_jobs SET locked_by_id = (SELECT id FROM good_job_processes), locked_at = now(), performed_at = now()
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL ORDER BY created_at LIMIT 50);
UPDATE good_jobs SET performed_at = now()
WHERE id IN (SELECT id FROM good_jobs WHERE finished_at IS NULL AND locked_by_id IS NULL ORDER BY created_at DESC LIMIT 5)`

/** By what they print, a command that failed is told from one that was quick. */
const COMMANDS: readonly (readonly [command: string, prints: RegExp])[] = [
  ['--version', /^\d/],
  ['jobs list', /^id /],
  ['jobs list --state running', /^id /],
  ['jobs list --state queued', /^id /],
  ['jobs list --state scheduled', /No jobs|Searched/],
  ['jobs list --state succeeded', /^id /],
  ['jobs list --state discarded', /^id /],
  ['jobs list --class NoopJob', /^id /],
  ['jobs list --class NoSuchJob', /No jobs/],
  ['jobs list --queue none --state discarded', /No jobs|Searched/],
  ['batches list', /^id /],
  ['batches list --state discarded', /^id /],
  ['batches list --unproven', /^id /],
  ['pauses', /Nothing/],
  ['schema check', /GoodJob/],
  ['doctor', /Postgres/],
]

const SCENES = COMMANDS.map(([command, prints]) => ({
  name: `good-job ${command}`,
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
  child.stdout.on('data', (chunk: Buffer) => {
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
      await client.query(SCENE(Math.round(finished / 250)))
      await settle(client)
    }
    const database = await options.server.database(`commands ${finished}`, fill)
    // Once before it counts: what a person looks at twice is in memory.
    for (const { command } of SCENES) await run(command, database.url)
    const series = await alternate(options, SCENES, async ({ command, prints }) => {
      const startedMs = performance.now()
      const output = await run(command, database.url)
      const value = (performance.now() - startedMs) / 1000
      if (!prints.test(output)) throw new Error(`good-job ${command} printed: ${output}`)
      return { value, size: finished }
    })
    await database.drop()
    const title = `Commands beside ${finished.toLocaleString('en')} finished and ${waiting.toLocaleString('en')} waiting jobs`
    return [{ id: 'commands', title, unit: 'seconds', series }]
  },
}
