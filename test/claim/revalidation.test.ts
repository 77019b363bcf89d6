import { randomUUID } from 'node:crypto'
import { afterAll, expect, test } from 'vitest'
import { Database } from '../../src/sql/database.ts'
import { type ClaimedRow, claim } from '../../src/sql/jobs-claim.ts'
import { queryableOf } from '../../src/sql/types.ts'
import { createClock } from '../../src/time.ts'
import { ago, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const clock = createClock()

test('what changed after the snapshot of a claim is not started: finished, rescheduled and owned jobs [GJ-036]', async () => {
  const database = new Database({ databaseUrl: world.url })
  const facts = await database.facts()
  const lane = await world.database.connect()
  const rival = await world.database.connect()
  const changes = [
    `finished_at = now() AT TIME ZONE 'UTC'`,
    `scheduled_at = now() AT TIME ZONE 'UTC' + interval '1 hour'`,
    `locked_by_id = gen_random_uuid()`,
    `job_class = 'OtherJob'`,
  ]
  const claimed: ClaimedRow[] = []
  for (let round = 0; round < 25; round++) {
    const ids: string[] = []
    for (let index = 0; index < 12; index++) ids.push(await world.insert({ created_at: ago(100 - index) }))
    // Both run at the same time; what the rival commits first must be seen.
    const changing = rival.query(
      `UPDATE good_jobs SET ${changes[round % changes.length]}, error = 'changed' WHERE id = ANY ($1::uuid[]) AND performed_at IS NULL
       AND id IN (SELECT id FROM good_jobs WHERE id = ANY ($1::uuid[]) ORDER BY md5(id::text) FOR UPDATE SKIP LOCKED)`,
      [ids],
    )
    const now = clock.timestamp()
    claimed.push(
      ...(await claim(queryableOf(lane), facts, {
        selector: { kind: 'all' },
        jobClasses: ['EchoJob'],
        sort: 'created_at',
        selectLimit: 100,
        limit: 12,
        processId: randomUUID(),
        now,
        dueUntil: now,
        runningIds: [],
        releaseKeys: [],
      })),
    )
    await changing
  }
  await lane.query('SELECT pg_advisory_unlock_all()')
  // The rival leaves alone what was started before, and the claim what the rival changed before.
  const both = await world.sql(`SELECT id FROM good_jobs WHERE performed_at IS NOT NULL AND error = 'changed'`)
  expect(both).toEqual([])
  const [counts] = await world.sql<{ changed: number; started: number }>(
    `SELECT count(*) FILTER (WHERE error = 'changed')::int AS changed, count(*) FILTER (WHERE performed_at IS NOT NULL)::int AS started FROM good_jobs`,
  )
  expect(counts?.started).toBe(claimed.length)
  expect((counts?.changed ?? 0) + (counts?.started ?? 0)).toBeGreaterThan(0)
  await database.close()
})
