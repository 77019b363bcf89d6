import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { RoundLane } from '../../src/claim/round-lane.ts'
import { jobLockKey } from '../../src/sql/advisory-lock.ts'
import { Database } from '../../src/sql/database.ts'
import { inTurn } from '../support/clean-up.ts'
import { next, openWorld, record, until } from '../support/harness.ts'
import { advisoryLocks, blockedSessions, noLocks, terminate } from '../support/sessions.ts'
import { openLaneOn, openRoundLaneOn, request, takeJobs } from './lane-scene.ts'

const world = await openWorld()
const sharedDatabase = new Database({ databaseUrl: world.url })
afterAll(
  inTurn(
    () => sharedDatabase.close(),
    () => world.close(),
  ),
)
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const openLane = (database = sharedDatabase) => openLaneOn(database)
const openRoundLane = (deferStartMs = 60_000) => openRoundLaneOn(sharedDatabase, deferStartMs)

/** Ends the session of the lane, and waits until it has another one. */
const loseSession = async () => {
  const restored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  return (await restored)[0]
}

/** The session of the lane ends while another session has locked the table: the next one waits in the middle of its recovery. */
const recoverBehind = async (mode: 'EXCLUSIVE' | 'ACCESS EXCLUSIVE') => {
  const rival = await world.database.connect()
  await rival.query('BEGIN')
  await rival.query(`LOCK TABLE good_jobs IN ${mode} MODE`)
  const restored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  await until(async () => (await blockedSessions(world)) > 0, 'the recovery waits for the table')
  return { restored, unlock: () => rival.query('ROLLBACK') }
}

const release = (id: string) =>
  world.sql('UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1', [id])

test('of a claim whose answer was lost only jobs without an attempt are released', async () => {
  const [known, unknown] = [await world.insert(), await world.insert()]
  await using opened = await openLane()
  const { ids, now } = await takeJobs(opened)
  expect(ids.toSorted()).toEqual([known, unknown].toSorted())
  opened.lane.disown([unknown], now)
  await loseSession()
  expect(await world.job(known)).toMatchObject({ locked_by_id: opened.processId })
  expect(await world.job(unknown)).toMatchObject({ locked_by_id: null, locked_at: null })
})

test('the end of an attempt keeps the lock of a newer attempt of the same job', async () => {
  const id = await world.insert()
  await using opened = await openLane()
  const { now: first } = await takeJobs(opened)
  await release(id)
  await loseSession()
  expect(opened.lost).toEqual([id])
  const { ids, now: second } = await takeJobs(opened)
  expect(ids).toEqual([id])
  await opened.lane.release({ id, lockedAt: first })
  expect(await advisoryLocks(world)).toEqual([jobLockKey(id)])
  await opened.lane.release({ id, lockedAt: second })
  await noLocks(world)
})

test('a lock that a new session took for an attempt that has ended meanwhile is released', async () => {
  const id = await world.insert()
  await using opened = await openLane()
  const { now } = await takeJobs(opened)
  // Rows cannot even be read: the lane is about to ask for its locks.
  const { restored, unlock } = await recoverBehind('ACCESS EXCLUSIVE')
  const released = opened.lane.release({ id, lockedAt: now })
  await unlock()
  expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
  // No claim follows that could carry the key.
  await released
  expect(await advisoryLocks(world)).toEqual([])
})

test('an uncertain claim reported while other uncertain claims are being released is released, too', async () => {
  await world.insert()
  await using opened = await openLane()
  const first = await takeJobs(opened)
  await world.insert()
  const second = await takeJobs(opened)
  opened.lane.disown(first.ids, first.now)
  // Rows can be read but not written: the lane has its locks back and is about to release the first claim.
  const { restored, unlock } = await recoverBehind('EXCLUSIVE')
  opened.lane.disown(second.ids, second.now)
  await unlock()
  await restored
  expect(await world.sql('SELECT locked_by_id FROM good_jobs')).toEqual([
    { locked_by_id: null },
    { locked_by_id: null },
  ])
})

test('an uncertain claim is still released after a recovery that failed', async () => {
  await world.insert()
  await using opened = await openLane()
  const { ids, now } = await takeJobs(opened)
  opened.lane.disown(ids, now)
  const refuse = `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON good_jobs FOR EACH ROW EXECUTE FUNCTION refuse()`
  await world.sql(refuse)
  const retried = next('connection_retry')
  const restored = next('lane_restored')
  await terminate(world, 'GoodJob::Lane')
  expect(String((await retried)[0]?.error)).toMatch(/not now/)
  await world.sql('DROP FUNCTION refuse CASCADE')
  await restored
  expect(await world.sql('SELECT locked_by_id FROM good_jobs')).toEqual([{ locked_by_id: null }])
})

test('a release that Postgres cancels is tried again, and costs no lock of a running job', async () => {
  const [staying, ending] = [await world.insert(), await world.insert()]
  // This search_path finds our function before that of Postgres; its first call is cancelled.
  await world.sql(`
    CREATE SEQUENCE calls;
    CREATE FUNCTION public.pg_advisory_unlock(key bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('calls') = 1 THEN RAISE 'not now' USING ERRCODE = 'query_canceled'; END IF;
      RETURN pg_catalog.pg_advisory_unlock(key);
    END $$`)
  const url = new URL(world.url)
  url.searchParams.set('options', '-c search_path=public,pg_catalog')
  const ownDatabase = new Database({ databaseUrl: url.href })
  const losses = record('lane_lost')
  {
    await using opened = await openLane(ownDatabase)
    const { now } = await takeJobs(opened)
    await opened.lane.release({ id: ending, lockedAt: now })
    expect(await advisoryLocks(world)).toEqual([jobLockKey(staying)])
    expect(losses.seen).toEqual([])
  }
  losses.stop()
  await ownDatabase.close()
  await world.sql('DROP FUNCTION public.pg_advisory_unlock(bigint); DROP SEQUENCE calls')
})

test('a job that another worker took while its round could not be written is reported as lost; the others are started', async () => {
  const [taken, ours] = [await world.insert(), await world.insert()]
  const owner = randomUUID()
  await using opened = await openRoundLane()
  const rival = await world.database.connect()
  await rival.query('BEGIN')
  const round = await opened.lane.openRound(request)
  // This session waits behind the open transaction of the round, ahead of the statement that would start the jobs.
  const locking = rival.query('LOCK TABLE good_jobs IN EXCLUSIVE MODE').then(async () => {
    await rival.query('UPDATE good_jobs SET locked_by_id = $2 WHERE id = $1', [taken, owner])
    await rival.query('COMMIT')
  })
  const waits = `SELECT FROM pg_locks WHERE locktype = 'relation' AND mode = 'ExclusiveLock' AND NOT granted`
  await until(async () => (await world.sql(waits)).length > 0, 'the rival is in line')
  const closed = await round?.close([{ text: 'SELECT 1 / 0' }])
  await locking
  expect(closed).toMatchObject({ kind: 'started', rows: [{ id: ours }], error: { code: '22012' } })
  expect(opened.lost).toEqual([taken])
  expect(await world.job(taken)).toMatchObject({ locked_by_id: owner, performed_at: null })
  expect(await world.job(ours)).toMatchObject({ locked_by_id: opened.processId })
  // The round behind one that could not be written is undone; the next one carries the key.
  await expect(opened.lane.openRound(request)).rejects.toThrow('the previous round could not be written')
  expect(await opened.lane.openRound(request)).toBeUndefined()
  expect(await advisoryLocks(world)).toEqual([jobLockKey(ours)])
})

test('a round that is never closed is abandoned by its session, and the next round is opened', async () => {
  const id = await world.insert()
  await using opened = await openRoundLane()
  const round = await opened.lane.openRound(request)
  const restored = next('lane_restored')
  round?.abandon(new Error('it went wrong'))
  await restored
  expect(opened.lost).toEqual([id])
  const again = await opened.lane.openRound(request)
  expect(again?.rows).toMatchObject([{ id }])
  expect(await again?.close([])).toEqual({ kind: 'written' })
  expect(await round?.close([])).toEqual({ kind: 'unknown' })
})

const LOCK_OF_A_TRIGGER = '42'

/** How a claim fails: before it has released any lock, or when it has released them and taken others. */
const FAILURES = [
  {
    when: 'before',
    fail: 'ALTER TABLE good_jobs RENAME COLUMN cron_key TO cron_key_away',
    fix: 'ALTER TABLE good_jobs RENAME COLUMN cron_key_away TO cron_key',
    othersLocks: [],
  },
  {
    when: 'after',
    fail: `
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM pg_advisory_lock_shared(${LOCK_OF_A_TRIGGER});
        RAISE 'not now' USING ERRCODE = 'query_canceled';
      END $$;
      CREATE TRIGGER refuse BEFORE UPDATE ON good_jobs FOR EACH ROW EXECUTE FUNCTION refuse()`,
    fix: 'DROP TRIGGER refuse ON good_jobs; DROP FUNCTION refuse',
    // A lock of another process stays.
    othersLocks: [LOCK_OF_A_TRIGGER],
  },
]

test.each(FAILURES.map((failure) => [failure.when, failure] as const))(
  'a claim that fails %s its releases keeps the locks of running jobs, no other locks, and no uncertain claims',
  async (_when, { fail, fix, othersLocks }) => {
    await using opened = await openLane()
    const [staying, ending] = [await world.insert(), await world.insert()]
    const { now } = await takeJobs(opened)
    await world.insert()
    await world.sql(fail)
    const [doubts, losses] = [record('lane_lock_missing'), record('lane_lost')]
    // The claim is queued ahead of the separate release and carries the key.
    const released = opened.lane.release({ id: ending, lockedAt: now })
    await expect(opened.lane.claim(request)).rejects.toThrow(/not now|cron_key/)
    await released
    expect((await advisoryLocks(world)).sort()).toEqual([jobLockKey(staying), ...othersLocks].sort())
    await world.sql(fix)
    expect((await takeJobs(opened)).ids).toHaveLength(1)
    expect(doubts.seen).toEqual([])
    expect(losses.seen).toEqual([])
    doubts.stop()
    losses.stop()
  },
)

test.each([0, 5])(
  'a claim that finds a lock missing makes the lane retake the others, starts deferred by %i ms',
  async (deferStartMs) => {
    await using opened = await (deferStartMs === 0 ? openLane() : openRoundLane(deferStartMs))
    const { lane } = opened
    await world.sql(`
    CREATE FUNCTION take_locks() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_unlock_all(); RETURN NEW; END $$;
    CREATE TRIGGER take_locks BEFORE UPDATE ON good_jobs FOR EACH ROW EXECUTE FUNCTION take_locks()`)
    const [staying, ending] = [await world.insert(), await world.insert()]
    const { now } = await takeJobs(opened)
    await world.sql('DROP TRIGGER take_locks ON good_jobs; DROP FUNCTION take_locks')
    const [missing, restored] = [next('lane_lock_missing'), next('lane_restored')]
    const released = lane.release({ id: ending, lockedAt: now })
    if (lane instanceof RoundLane) await (await lane.openRound(request))?.close([])
    else await lane.claim(request)
    await released
    expect((await missing)[0]).toMatchObject({ missingLocks: 1, heldLocks: 1 })
    expect((await restored)[0]).toMatchObject({ keptLocks: 1, lostLocks: 0 })
    expect(await advisoryLocks(world)).toEqual([jobLockKey(staying)])
  },
)
