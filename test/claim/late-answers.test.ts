import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { Lane } from '../../src/claim/lane.ts'
import { RoundLane } from '../../src/claim/round-lane.ts'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import { Database } from '../../src/sql/database.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, record } from '../support/harness.ts'
import { sendMessage } from '../support/messages.ts'
import { noLocks } from '../support/sessions.ts'
import { Wire } from '../support/wire.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions'))

const EchoJob = jobClass('EchoJob', () => {})

test('a round without an answer ends the session that wrote it, and not the next session', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  await using wire = await Wire.start(world.url)
  await using _capsule = await world.start({ jobs: [GateJob], databaseUrl: wire.url(), deferStart: 60_000 })
  const losses = record('lane_lost')
  const id = await enqueue(GateJob)
  await gate.entered
  const restored = next('lane_restored')
  const settled = Promise.race([next('perform_job'), next('outcome_lost')])
  const muted = wire.mute('GoodJob::Lane', /COMMIT/)
  gate.open()
  await muted
  // The server has written the round; the liveness check without an answer ends the session.
  await restored
  expect((await settled)[0]).toMatchObject({ jobId: id })
  expect(losses.seen).toHaveLength(1)
  losses.stop()
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 1, locked_by_id: null })
})

test('a start without an answer is released by the recovery, so the job runs', async () => {
  await using wire = await Wire.start(world.url)
  await using _capsule = await world.start({ jobs: [EchoJob], databaseUrl: wire.url(), deferStart: 60_000 })
  const restored = next('lane_restored')
  const muted = wire.mute('GoodJob::Lane', /start_locked/)
  // Other processes must see at once that the job runs: its start is written before `perform` begins.
  const id = await world.insert({ labels: ['red'] })
  await sendMessage(world.pool, '{}')
  await muted
  await restored
  await performed(id)
  expect(await world.job(id)).toMatchObject({ error: null, executions_count: 2, locked_by_id: null })
  await noLocks(world)
})

/** A lane connected through a proxy, and its database. */
const openLane = (databaseUrl: string, deferStartMs: number) => {
  const database = new Database({ databaseUrl })
  const nothing = () => {}
  const options = {
    ...{ database, processId: randomUUID(), sort: 'created_at' as const },
    ...{ onClaimsLost: nothing, onReady: nothing },
  } as const
  const lane = deferStartMs > 0 ? new RoundLane({ ...options, deferStartMs }) : new Lane(options, pgConnection)
  return {
    lane,
    [Symbol.asyncDispose]: async () => {
      await lane.close()
      await database.close()
    },
  }
}

test.each([0, 5])(
  'a server that is silent after the handshake gets the usual timeout, starts deferred by %i ms',
  async (deferStartMs) => {
    await using wire = await Wire.start(world.url)
    await using opened = openLane(wire.url({ query_timeout: '1000' }), deferStartMs)
    const muted = wire.mute('GoodJob::Lane', /pg_backend_pid/)
    const connecting = expect(opened.lane.connect()).rejects.toMatchObject({
      code: 'ETIMEDOUT',
      message: 'no answer within 1 s',
    })
    await muted
    await connecting
  },
  15_000,
)
