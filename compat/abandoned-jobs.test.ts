import { afterAll, beforeAll, expect, test } from 'vitest'
import { goodJob, startNodeWorker } from './node-worker.ts'
import type { RailsApp, RailsWorker } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { shutGate } from './support/locks.ts'
import { bootRails } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

const QUEUE = 'default'

/**
 * A worker in Node releases such a job after two queries more than five minutes apart. The long form of these tests waits for them; the
 * short one releases the job by a command.
 */
const WAITS = Number(process.env.ABANDONED_SECONDS ?? 0)

const ROW = `
  SELECT locked_by_id AS owner, lock_type AS "lockType", locked_at IS NOT NULL AS "hasTime", performed_at IS NOT NULL AS "hasStarted",
    (SELECT count(*)::integer FROM good_job_executions WHERE active_job_id = good_jobs.id) AS executions
  FROM good_jobs WHERE id = $1`

/** Starts of a process wait at the gate named by the trigger, after their claim was committed. */
const waitAtStart = (name: string, processId: string): string => `
  CREATE OR REPLACE FUNCTION wait_at_start() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_advisory_xact_lock_shared(hashtextextended(TG_NAME, 1450)); RETURN NEW; END $$;
  CREATE TRIGGER "${name}" BEFORE INSERT ON good_job_executions FOR EACH ROW
    WHEN (NEW.process_id = '${processId}') EXECUTE FUNCTION wait_at_start()`

describeWithRuby('a job that a skiplocked Ruby worker has claimed', () => {
  let app: RailsApp

  beforeAll(async () => {
    app = await bootRails()
  })

  afterAll(() => app.stop())

  const startRuby = () => app.startWorker({ queues: QUEUE, threads: 1, env: { GOOD_JOB_LOCK_STRATEGY: 'skiplocked' } })
  const startNode = () => startNodeWorker(app, { queues: QUEUE, jobs: 'shared', threads: 2 })
  const enqueue = (name: string) => app.run<string>('MemberJob.perform_later(args[:name]).job_id', { name })
  const rowOf = async (id: string) => (await app.pool.query(ROW, [id])).rows[0]
  const deleteProcess = (id: string) => app.pool.query('DELETE FROM good_job_processes WHERE id = $1', [id])
  const untilPerformed = (name: string, side: 'ruby' | 'node', timeoutMs?: number) =>
    eventually(
      `${name} is performed in ${side}`,
      async () => (await app.events('performed', { name }))[0]?.payload.side === side,
      timeoutMs,
    )

  /** Kills the worker between the commit of its claim and its start. */
  const killBeforeStart = async (name: string): Promise<{ id: string; ruby: RailsWorker }> => {
    const ruby = await startRuby()
    await app.pool.query(waitAtStart(name, ruby.processId))
    const gate = await shutGate(app.databaseUrl, name)
    const id = await enqueue(name)
    await eventually('Ruby is about to start it', async () => (await gate.waiters()) === 1)
    await ruby.kill()
    await eventually('its connection is gone', async () => (await gate.waiters()) === 0)
    await gate.release()
    const owner = ruby.processId
    expect(await rowOf(id)).toEqual({ owner, lockType: 1, hasTime: true, hasStarted: false, executions: 0 })
    return { id, ruby }
  }

  test('and not started before it was killed runs again once the dead process has expired', async () => {
    const { ruby } = await killBeforeStart('expired')
    await app.pool.query(
      `UPDATE good_job_processes SET updated_at = updated_at - interval '10 minutes' WHERE id = $1`,
      [ruby.processId],
    )
    const node = await startNode()
    await untilPerformed('expired', 'node')
    await node.stop()
  })

  test(
    'and not started before it was killed, without a process row, is named by doctor and released by a person or after five minutes',
    async () => {
      const { id, ruby } = await killBeforeStart('abandoned')
      await deleteProcess(ruby.processId)
      // GoodJob releases jobs of process rows that it finds.
      await app.run('GoodJob::Process.cleanup; nil')
      const node = await startNode()
      await enqueue('after it')
      await untilPerformed('after it', 'node')
      expect(await rowOf(id)).toMatchObject({ owner: ruby.processId, executions: 0 })
      expect(await goodJob(app, ['doctor'])).toMatchObject({
        exitCode: 1,
        output: expect.stringContaining(`good-job jobs release ${id}`),
      })
      if (WAITS === 0) expect(await goodJob(app, ['jobs', 'release', id])).toMatchObject({ exitCode: 0 })
      await untilPerformed('abandoned', 'node', WAITS === 0 ? undefined : WAITS * 1000)
      await node.stop()
    },
    120_000 + WAITS * 1000,
  )

  test('is not released while that worker lives without its row: the worker writes the row again, under its own id', async () => {
    const ruby = await startRuby()
    const gate = await shutGate(app.databaseUrl, 'alive')
    const id = await enqueue('alive')
    await eventually('the job is at its gate', async () => (await gate.waiters()) === 1)
    await deleteProcess(ruby.processId)
    expect(await goodJob(app, ['doctor'])).toMatchObject({ output: expect.stringContaining(id) })
    const node = await startNode()
    await eventually(
      'its row exists again',
      async () =>
        (await app.pool.query('SELECT FROM good_job_processes WHERE id = $1', [ruby.processId])).rowCount === 1,
      60_000,
    )
    expect(await rowOf(id)).toMatchObject({ owner: ruby.processId, hasStarted: true, executions: 1 })
    expect(await goodJob(app, ['jobs', 'release', id])).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining(`:${ruby.pid} has it`),
    })
    await gate.release()
    await untilPerformed('alive', 'ruby')
    await Promise.all([ruby.stop(), node.stop()])
    expect(await app.events('started', { name: 'alive' })).toHaveLength(1)
  }, 120_000)
})

describeWithRuby('a living Ruby process whose row was deleted', () => {
  test.each([
    ['4.19.2', { ownId: false, rows: 3 }],
    ['4.23.1', { ownId: true, rows: 1 }],
  ] as const)('comes back on GoodJob %s as %o', async (goodJobVersion, expected) => {
    const app = await bootRails({ goodJobVersion })
    // Its heartbeat does this three times.
    const seen = await app.run<{ ownId: boolean; rows: number }>(`
      id = SecureRandom.uuid
      record = GoodJob::Process.find_or_create_record(id: id)
      GoodJob::Process.delete_all
      3.times { record.refresh }
      rows = GoodJob::Process.all.to_a
      { ownId: rows.any? { |row| row.id == id }, rows: rows.count { |row| row.state['pid'] == Process.pid } }`)
    expect(seen).toEqual(expected)
    await app.stop()
  })
})
