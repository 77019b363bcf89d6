import { randomUUID } from 'node:crypto'
import { afterAll, describe, expect, test } from 'vitest'
import { reacquire } from '../../src/sql/claim/claim.ts'
import { deleteJobs, finishJobs, type OutcomeRow, reenqueueJobs, rerunJobs } from '../../src/sql/outcome/outcomes.ts'
import { openWorld, type Row } from '../support/harness.ts'

// Two claims of one job by real workers differ in several columns: owner and stamp. Here each column of the fence is
// tested alone.
const world = await openWorld()
afterAll(() => world.close())
const facts = await world.adapter.database.facts()

const OWNER = randomUUID()
const STAMP = '2026-01-31T12:00:00.000001Z'
const NOW = '2026-01-31T12:00:05.000000Z'

/** A running job of `OWNER`, but for these columns. */
const insertClaimed = async (columns: Row = {}): Promise<OutcomeRow> => {
  const id = await world.insert({ locked_by_id: OWNER, locked_at: STAMP, performed_at: STAMP, ...columns })
  return {
    id,
    lockedAt: STAMP,
    executionId: randomUUID(),
    finishedAt: NOW,
    durationSeconds: 5,
    error: null,
    errorEvent: null,
    backtrace: null,
  }
}

const CHANGED = [
  ['another owner', { locked_by_id: randomUUID() }],
  ['no owner', { locked_by_id: null }],
  ['a later claim of the same owner', { locked_at: '2026-01-31T12:00:00.000002Z' }],
  ['no stamp', { locked_at: null }],
  ['an end', { finished_at: NOW }],
] as const

const writer = { processId: OWNER, now: NOW }
const again = {
  serializedParams: '{}',
  jobClass: 'EchoJob',
  queueName: 'default',
  priority: 0,
  scheduledAt: NOW,
  createdAt: NOW,
  labels: null,
  isNotified: false,
}
const WRITES = [
  ['finish', finishJobs],
  ['rerun', rerunJobs],
  ['delete', deleteJobs],
  [
    'reenqueue',
    (db, _facts, by, outcomes) =>
      reenqueueJobs(
        db,
        _facts,
        by,
        outcomes.map((outcome) => ({ ...outcome, ...again })),
        { keepsCreatedAt: false },
      ),
  ],
] as const satisfies readonly (readonly [string, typeof finishJobs])[]

describe.each(WRITES)('the write of an outcome: %s', (_name, write) => {
  test('changes the claimed row', async () => {
    const outcome = await insertClaimed()
    expect(await write(world.pool, facts, writer, [outcome])).toMatchObject([{ id: outcome.id }])
  })

  test.each(CHANGED)('does not change a row with %s', async (_change, columns) => {
    const outcome = await insertClaimed(columns)
    const before = await world.job(outcome.id)
    expect(await write(world.pool, facts, writer, [outcome])).toEqual([])
    expect(await world.job(outcome.id)).toEqual(before)
  })
})

describe('a lane that has a new session takes back the lock of a job', () => {
  const takeBack = async (columns: Row = {}) => {
    const client = await world.pool.connect()
    try {
      const claim = await insertClaimed(columns)
      return { claim, ids: await reacquire(client, facts, [claim], OWNER) }
    } finally {
      await client.query('SELECT pg_advisory_unlock_all()')
      client.release()
    }
  }

  test('if its row is unchanged since the claim', async () => {
    const { claim, ids } = await takeBack()
    expect(ids).toEqual([claim.id])
  })

  test.each(CHANGED)('but not with %s', async (_change, columns) => {
    expect((await takeBack(columns)).ids).toEqual([])
  })
})
