import { afterAll, beforeAll, expect, test } from 'vitest'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { type HeldLock, shutGate } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const WAITING = 0
const GRANTED = 1
const PROMOTED = 3

const CLAIM = 'SELECT state, locked_by_id AS owner FROM good_job_concurrency_claims WHERE job_id = $1'
/** $1 job id · $2 queue. Makes the job due now on that queue. */
const MOVE = `UPDATE good_jobs SET queue_name = $2, scheduled_at = now() AT TIME ZONE 'UTC' WHERE id = $1 AND performed_at IS NULL`
const SLEEPS = `UPDATE good_jobs SET scheduled_at = (now() AT TIME ZONE 'UTC') + interval '1 hour' WHERE id = $1 AND performed_at IS NULL`
const EXPIRE = `UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes' WHERE id = $1`

describeWithRuby('a class that Ruby performs one at a time', () => {
  let app: RailsApp

  beforeAll(async () => {
    app = await bootRails()
  })

  afterAll(() => app.stop())

  const enqueue = (name: string) =>
    app.run<string>(`LimitedJob.set(queue: 'ruby').perform_later(args[:name]).job_id`, { name })
  const claimOf = async (id: string) =>
    (await app.pool.query<{ state: number; owner: string | null }>(CLAIM, [id])).rows[0]
  const untilClaimed = (id: string, state: number) =>
    eventually(`the claim of the job is in state ${state}`, async () => (await claimOf(id))?.state === state)
  const isAt = (gate: HeldLock) => eventually('the job is at its gate', async () => (await gate.waiters()) === 1)
  const untilPerformed = (name: string, side: 'ruby' | 'node') =>
    eventually(`${name} is performed in ${side}`, async () => {
      const [performed] = await app.events('performed', { name })
      return performed?.payload.side === side
    })
  /** A job that Ruby has refused, with its retry in an hour. */
  const refused = async (name: string) => {
    const id = await enqueue(name)
    await untilClaimed(id, WAITING)
    await eventually('it sleeps', async () => (await app.pool.query(SLEEPS, [id])).rowCount === 1)
    return id
  }

  test('counts the job that Ruby refused while Node runs it, and gets its slot when it ends [GJ-132] [GJ-133]', async () => {
    const ruby = await app.startWorker({ queues: 'ruby', threads: 2 })
    const node = await startNodeWorker(app, { queues: 'node', jobs: 'shared' })
    const [first, second] = [await shutGate(app.databaseUrl, 'first'), await shutGate(app.databaseUrl, 'second')]
    await enqueue('first')
    await isAt(first)
    const moved = await refused('second')
    await app.pool.query(MOVE, [moved, 'node'])
    await isAt(second)
    expect(await claimOf(moved)).toEqual({ state: GRANTED, owner: node.processId })

    await first.release()
    await untilPerformed('first', 'ruby')
    const third = await refused('third')
    expect(await app.events('started', { name: 'third' })).toEqual([])

    await second.release()
    await untilPerformed('second', 'node')
    await untilPerformed('third', 'ruby')
    await Promise.all([ruby.stop(), node.stop()])
    expect(await claimOf(moved)).toBeUndefined()
    expect(await claimOf(third)).toBeUndefined()
  })

  test('gets the slots of a killed Ruby process back through the cleanup of a worker in Node [GJ-100]', async () => {
    const dead = await app.startWorker({ queues: 'ruby', threads: 2 })
    const gate = await shutGate(app.databaseUrl, 'lost')
    const lost = await enqueue('lost')
    await isAt(gate)
    const waiting = await refused('waiting')
    await dead.kill()
    await app.pool.query(EXPIRE, [dead.processId])
    const node = await startNodeWorker(app, { queues: 'node', jobs: 'shared' })
    await untilClaimed(waiting, PROMOTED)
    expect(await claimOf(lost)).toBeUndefined()
    const { rows } = await app.pool.query(
      `SELECT locked_by_id AS owner, (SELECT scheduled_at <= now() AT TIME ZONE 'UTC' FROM good_jobs WHERE id = $2) AS "isDue"
       FROM good_jobs WHERE id = $1`,
      [lost, waiting],
    )
    expect(rows).toEqual([{ owner: null, isDue: true }])
    await gate.release()
    await node.stop()
  })
})
