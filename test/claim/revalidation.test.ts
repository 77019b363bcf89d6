import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { laneSettings } from '../../src/claim/lane-settings.ts'
import { parseSelector } from '../../src/claim/queue-string.ts'
import type { CandidateOptions } from '../../src/sql/claim/candidates.ts'
import { claim } from '../../src/sql/claim/claim.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { createClock } from '../../src/time.ts'
import { inTurn } from '../support/clean-up.ts'
import { ago, openWorld, until } from '../support/harness.ts'

const world = await openWorld()
const role = `reader_${randomUUID().slice(0, 8)}`
const lane = await world.database.connect()
const rival = await world.database.connect()
afterAll(
  inTurn(
    () => lane.end(),
    () => world.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`),
    () => world.close(),
  ),
)

const clock = createClock()
/** The advisory lock that each read of a row waits for. */
const GATE = 4711

// A policy on the rows holds the claim up between its snapshot and its first row; no statement of ours is changed for that.
await world.sql(`
  CREATE FUNCTION pass_gate() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
  BEGIN
    PERFORM pg_advisory_lock_shared(${GATE});
    PERFORM pg_advisory_unlock_shared(${GATE});
    RETURN true;
  END $$;
  CREATE ROLE ${role};
  GRANT ALL ON ALL TABLES IN SCHEMA public TO ${role};
  ALTER TABLE good_jobs ENABLE ROW LEVEL SECURITY;
  CREATE POLICY gate ON good_jobs USING (pass_gate()) WITH CHECK (true)`)
for (const [name, value] of Object.entries(laneSettings('created_at'))) {
  await lane.query('SELECT set_config(name, $2, false) FROM pg_settings WHERE name = $1', [name, value])
}
await lane.query(`SET ROLE ${role}`)

const CHANGES = {
  finished: `finished_at = now() AT TIME ZONE 'UTC'`,
  rescheduled: `scheduled_at = now() AT TIME ZONE 'UTC' + interval '1 hour'`,
  owned: 'locked_by_id = gen_random_uuid()',
  renamed: `job_class = 'OtherJob'`,
  moved: `queue_name = 'elsewhere'`,
}

const isLaneWaiting = async () => {
  const rows = await world.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${GATE} AND NOT granted`)
  return rows.length > 0
}

const from = { queueName: 'a', priority: 0, at: ago(1000) }
const SHAPES: Readonly<Record<string, Partial<CandidateOptions> & { readonly queues: string }>> = {
  'any queue, without the one that moved': { queues: '-elsewhere' },
  'one queue': { queues: 'a' },
  'one queue from a position on': { queues: 'a', from },
  'several queues': { queues: 'a,b' },
  'several queues in turn': { queues: '+a,b' },
  'what became due': { queues: 'a,b', newlyDue: { after: ago(1000), before: undefined } },
}

test.each(Object.entries(SHAPES))(
  'a job that changed after the snapshot of the claim is not started: %s [GJ-036]',
  async (_shape, { queues, ...options }) => {
    const insert = (name: string) => world.insert({ queue_name: 'a', error: name, created_at: ago(100) })
    const left = [await insert('left alone'), await insert('left alone')]
    for (const name of Object.keys(CHANGES)) await insert(name)
    await rival.query('SELECT pg_advisory_lock($1)', [GATE])
    const now = clock.timestamp()
    const claiming = claim(lane as unknown as Queryable, await world.adapter.database.facts(), {
      selector: parseSelector(queues),
      jobClasses: ['EchoJob'],
      sort: 'created_at',
      selectLimit: 100,
      limit: 12,
      processId: randomUUID(),
      now,
      dueUntil: now,
      runningIds: [],
      releaseKeys: [],
      ...options,
    })
    // The claim has its snapshot, in which all jobs wait.
    await until(isLaneWaiting, 'the claim has begun')
    for (const [name, change] of Object.entries(CHANGES)) {
      const { rowCount } = await rival.query(`UPDATE good_jobs SET ${change} WHERE error = $1`, [name])
      expect(rowCount).toBe(1)
    }
    await rival.query('SELECT pg_advisory_unlock($1)', [GATE])
    expect((await claiming).map(({ id }) => id).toSorted()).toEqual(left.toSorted())
    const started = await world.sql<{ error: string }>('SELECT error FROM good_jobs WHERE performed_at IS NOT NULL')
    expect(started).toEqual([{ error: 'left alone' }, { error: 'left alone' }])
    await lane.query('SELECT pg_advisory_unlock_all()')
    await world.sql('DELETE FROM good_jobs')
  },
)
