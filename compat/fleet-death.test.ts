import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startNodeWorker } from './node-worker.ts'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

type Strategy = 'advisory' | 'skiplocked' | 'hybrid'

interface Worker {
  readonly processId: string
  stop(): Promise<void>
  kill(): Promise<void>
}

/** Every class that both sides know is on this queue. */
const QUEUE = 'default'

/** $1 process id. Backdates the heartbeat by ten minutes; five are enough to expire. */
const EXPIRE = `UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes' WHERE id = $1`
const OWNER = 'SELECT locked_by_id AS id FROM good_jobs WHERE id = $1'
const EXECUTIONS = `
  SELECT process_id AS process, error_event AS event, error, finished_at IS NOT NULL AS "isClosed"
  FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at`

describeWithRuby('a job whose worker is killed with -9', () => {
  let app: RailsApp
  let runs = 0

  beforeAll(async () => {
    app = await bootRails()
  })

  afterAll(() => app.stop())

  const startRuby = (strategy: Strategy) =>
    app.startWorker({ queues: QUEUE, threads: 2, env: { GOOD_JOB_LOCK_STRATEGY: strategy } })
  const startNode = () => startNodeWorker(app, { queues: QUEUE, jobs: 'shared', threads: 2 })

  const enqueue = (name: string) => app.run<string>('MemberJob.perform_later(args[:name]).job_id', { name })
  const untilPerformed = (name: string, side: 'ruby' | 'node') =>
    eventually(`${name} is performed in ${side}`, async () => {
      const [performed] = await app.events('performed', { name })
      return performed?.payload.side === side
    })

  /** Kills the worker in the middle of a job; returns the job's name and id. */
  const killInTheMiddle = async (worker: Worker): Promise<{ name: string; id: string }> => {
    runs += 1
    const name = `cut off ${runs}`
    const gate = await shutGate(app.databaseUrl, name)
    const id = await enqueue(name)
    await eventually('the job is at its gate', async () => (await gate.waiters()) === 1)
    await worker.kill()
    await eventually('its connection is gone', async () => (await gate.waiters()) === 0)
    await gate.release()
    return { name, id }
  }

  /** The worker of the queue has skipped the job: a later job was performed, this one was not. */
  const expectPassedOver = async (name: string, id: string, side: 'ruby' | 'node', owner: string) => {
    await enqueue(`after ${name}`)
    await untilPerformed(`after ${name}`, side)
    expect(await app.events('performed', { name })).toEqual([])
    expect((await app.pool.query(OWNER, [id])).rows).toEqual([{ id: owner }])
  }

  const expectHistory = async (id: string, dead: string, next: string) => {
    const { rows } = await app.pool.query(EXECUTIONS, [id])
    const error = expect.stringMatching(/^GoodJob::InterruptedError: Interrupted after starting perform at /)
    expect(rows).toEqual([
      { process: dead, event: 0, error, isClosed: true },
      { process: next, event: null, error: null, isClosed: true },
    ])
  }

  describe('in Node', () => {
    test('is run again at once by an advisory Ruby worker, which checks the lock only [GJ-063]', async () => {
      const dead = await startNode()
      const { name, id } = await killInTheMiddle(dead)
      const ruby = await startRuby('advisory')
      await untilPerformed(name, 'ruby')
      await ruby.stop()
      await expectHistory(id, dead.processId, ruby.processId)
    })

    test.each(['skiplocked', 'hybrid'] as const)(
      'is run again by a Ruby worker on %s when the dead process has expired, not before [GJ-062]',
      async (strategy) => {
        const dead = await startNode()
        const { name, id } = await killInTheMiddle(dead)
        const ruby = await startRuby(strategy)
        await expectPassedOver(name, id, 'ruby', dead.processId)
        await app.pool.query(EXPIRE, [dead.processId])
        await app.run('GoodJob::Process.cleanup; nil')
        await untilPerformed(name, 'ruby')
        await ruby.stop()
        await expectHistory(id, dead.processId, ruby.processId)
      },
    )
  })

  test.each(['advisory', 'skiplocked', 'hybrid'] as const)(
    'in Ruby on %s is run again by Node when the dead process has expired, not before [GJ-034] [GJ-062]',
    async (strategy) => {
      const dead = await startRuby(strategy)
      const { name, id } = await killInTheMiddle(dead)
      const early = await startNode()
      await expectPassedOver(name, id, 'node', dead.processId)
      await early.stop()
      await app.pool.query(EXPIRE, [dead.processId])
      const node = await startNode()
      await untilPerformed(name, 'node')
      await node.stop()
      await expectHistory(id, dead.processId, node.processId)
    },
  )
})
