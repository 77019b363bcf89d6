import { afterAll, beforeAll, expect, test } from 'vitest'
import { sqlState } from '../src/errors.ts'
import { enqueue, Gate, jobClass, next, openWorld, performed, until, type World } from '../test/support/harness.ts'
import { type OwnServer, startOwnServer } from '../test/support/own-server.ts'
import { PgBouncer } from './support/pgbouncer.ts'
import { describeWithPgBouncer } from './support/with-pgbouncer.ts'

describeWithPgBouncer('a server that crashes behind PgBouncer', () => {
  let server: OwnServer
  let world: World
  beforeAll(async () => {
    server = await startOwnServer()
    world = await openWorld(server.database)
  })
  afterAll(() => world.close())

  // In transaction mode the session of the outcomes has the direct URL, as the lanes have.
  test('loses no outcome that is being written (pool_mode=session)', async () => {
    await using pooler = await PgBouncer.start(world.url, { mode: 'session', size: 20, waitSeconds: 1 })
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    const capsule = await world.start({ jobs: [GateJob], databaseUrl: pooler.url })
    const id = await enqueue(GateJob)
    const job = await gate.entered
    // The write of the outcome waits for the row lock while the server is stopped.
    const holder = await world.database.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT FROM good_jobs WHERE id = $1 FOR UPDATE', [id])
    const failed = next('outcome_write_failed')
    gate.open()
    const isWaiting = async () =>
      (await world.sql(`SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%good_jobs%'`))
        .length === 1
    await until(isWaiting, 'the outcome waits for its row')
    await server.stopServer('immediate')
    const [failure] = await failed
    expect(sqlState(failure?.error)).toBe('08P01')
    expect(String(failure?.error)).toMatch(/server conn crashed/)
    const done = performed(id)
    await server.startServer()
    await done
    const rows = await world.sql('SELECT executions_count, error, locked_by_id FROM good_jobs WHERE id = $1', [id])
    expect(rows).toEqual([{ executions_count: 1, error: null, locked_by_id: null }])
    expect(job.signal.aborted).toBe(false)
    await capsule.shutdown()
  })
})
