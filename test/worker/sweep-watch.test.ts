import { afterAll, expect, test } from 'vitest'
import type { SweepHolder } from '../../src/sql/batch/sweep-lock.ts'
import { tryLockSweep } from '../../src/sql/batch/sweep-lock.ts'
import { SweepWatch } from '../../src/worker/watch/sweep-watch.ts'
import { jobClass, next, openWorld, record } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const Plain = jobClass('Plain', () => undefined)
const start = () => world.start({ jobs: [Plain], batchSweepInterval: 0.1 })
/** On a busy machine a sweep may take longer than an interval, and is then missed for that reason. */
const missedFor = (reason: 'held' | 'failed' | 'running', count = 1) =>
  next('batch_sweep_missed', count, (event) => event.reason === reason)

test('a worker whose sweep another session blocks for three intervals reports that session', async () => {
  const other = await world.database.connect()
  await other.query(`SET application_name = 'stuck'`)
  await other.query('BEGIN')
  expect(await tryLockSweep(other)).toBe(true)
  const { rows } = await other.query('SELECT pg_backend_pid() AS pid')
  const missed = missedFor('held', 2)
  await using worker = await start()
  const holder = { pid: rows[0].pid, application: 'stuck', since: expect.stringMatching(/^2.*Z$/) }
  const { processId } = worker
  const reported = await missed
  expect(reported).toEqual(reported.map(({ intervals }) => ({ processId, intervals, reason: 'held', holder })))
  for (const { intervals } of reported) expect(intervals % 3).toBe(0)
  const swept = next('batch_sweep')
  await other.query('COMMIT')
  await other.end()
  await swept
})

test('a worker whose sweeps fail for three intervals reports the error', async () => {
  const missed = missedFor('failed')
  await using _worker = await start()
  await world.sql('ALTER TABLE good_job_batches RENAME TO elsewhere')
  const [reported] = await missed
  const swept = next('batch_sweep')
  await world.sql('ALTER TABLE elsewhere RENAME TO good_job_batches')
  await swept
  expect(reported).toMatchObject({ reason: 'failed', error: { code: '42P01' } })
})

test('a worker whose sweep does not end for three intervals reports that', async () => {
  const missed = missedFor('running')
  await using _worker = await start()
  const other = await world.database.connect()
  await other.query('BEGIN')
  await other.query('LOCK TABLE good_job_batches')
  await missed
  const swept = next('batch_sweep')
  await other.query('COMMIT')
  await other.end()
  await swept
})

test('sweeps of other processes count like own sweeps', () => {
  const holder = (pid: number, since: string): SweepHolder => ({ pid, application: 'GoodJob::Capsule', since })
  const missed = record('batch_sweep_missed')
  const watch = new SweepWatch('this one')
  const held = (by: SweepHolder | undefined) => watch.missed({ reason: 'held', holder: by })
  for (let interval = 1; interval <= 10; interval++) held(holder(interval % 2, 'the same'))
  for (let interval = 1; interval <= 10; interval++) held(holder(1, `interval ${interval}`))
  for (let interval = 1; interval <= 10; interval++) held(undefined)
  for (const by of [1, 1, 2, 2, 1, 1]) held(holder(by, 'the same'))
  expect(missed.seen).toEqual([])
  watch.missed({ reason: 'failed', error: new Error('no') })
  held(holder(1, 'the same'))
  watch.done()
  for (const _ of [1, 2]) watch.missed({ reason: 'running' })
  watch.done()
  expect(missed.seen).toMatchObject([{ intervals: 3, reason: 'failed' }])
  missed.stop()
})
