import { afterAll, beforeAll, expect, test } from 'vitest'
import { inTurn } from '../test/support/clean-up.ts'
import { createDatabase, type TestDatabase } from '../test/support/postgres.ts'
import { Wire } from '../test/support/wire.ts'
import { type NodeWorker, startNodeWorker } from './node-worker.ts'
import { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { type HeldLock, shutGate } from './support/locks.ts'
import { describeWithRuby } from './support/ruby.ts'

interface Attempt {
  readonly process_id: string
  readonly error_event: number | null
  readonly is_open: boolean
}

const SELECT_ATTEMPTS = `
  SELECT process_id, error_event, finished_at IS NULL AS is_open
  FROM good_job_executions WHERE active_job_id = $1 ORDER BY created_at`

const TERMINATE_LANE = `
  SELECT pg_terminate_backend(pid) FROM pg_stat_activity
  WHERE application_name = 'GoodJob::Lane' AND datname = current_database()`

describeWithRuby('a worker in Node that loses sessions beside an advisory worker in Ruby', () => {
  let database: TestDatabase
  let app: RailsApp
  let wire: Wire
  let node: NodeWorker
  const gates = new Map<string, HeldLock>()

  const row = async (id: string) =>
    (await app.pool.query('SELECT error, finished_at, locked_by_id FROM good_jobs WHERE id = $1', [id])).rows[0]
  const attempts = async (id: string): Promise<Attempt[]> => (await app.pool.query<Attempt>(SELECT_ATTEMPTS, [id])).rows
  const startedBy = async (name: string): Promise<string[]> =>
    (await app.events('started', { name })).map(({ payload }) => payload.side)
  const wakeRuby = () => app.pool.query(`SELECT pg_notify('good_job', '{"queue_name":"shared"}')`)

  /** A job that runs in Node and waits there; Ruby serves the same queue. */
  const runInNode = async (name: string): Promise<string> => {
    gates.set(name, await shutGate(app.databaseUrl, name))
    // Ruby does not query the queue until Node has the job.
    const id = await app.run<string>(`MemberJob.set(queue: 'node').perform_later(args[:name]).job_id`, { name })
    await eventually(`${name} runs in Node`, async () => (await startedBy(name)).includes('node'))
    await app.pool.query(`UPDATE good_jobs SET queue_name = 'shared' WHERE id = $1`, [id])
    return id
  }
  const open = (name: string) => gates.get(name)?.release()
  const untilFinished = (id: string) =>
    eventually(`job ${id} is finished`, async () => (await row(id)).finished_at !== null)

  beforeAll(async () => {
    database = await createDatabase({ template: 'empty' })
    app = await RailsApp.boot({ databaseUrl: database.url })
    wire = await Wire.start(database.url)
    const env = { DATABASE_URL: wire.url() }
    const ruby = { queues: 'shared', env: { GOOD_JOB_LOCK_STRATEGY: 'advisory' } }
    ;[node] = await Promise.all([
      startNodeWorker(app, { jobs: 'both', queues: 'node,shared', threads: 20, env }),
      app.startWorker(ruby),
    ])
  })

  afterAll(
    inTurn(
      () => Promise.all([...gates.values()].map((gate) => gate.release())),
      () => app.stop(),
      () => wire[Symbol.asyncDispose](),
      () => database.drop(),
    ),
  )

  test('whose lane ends thirty times records no outcome of jobs that Ruby took meanwhile, and every job succeeds once [GJ-042]', async () => {
    const names = Array.from({ length: 10 }, (_, index) => `member ${index}`)
    const ids = await Promise.all(names.map(runInNode))
    for (let round = 0; round < 30; round++) {
      await app.pool.query(TERMINATE_LANE)
      await wakeRuby()
      await eventually(
        'the lane has reconnected',
        async () => node.program.words().split('"event":"lane_restored"').length > round + 1,
      )
    }
    await Promise.all(names.map(open))
    await Promise.all(ids.map(untilFinished))
    for (const [index, id] of ids.entries()) {
      const all = await attempts(id)
      const isTaken = (await startedBy(names[index] ?? '')).includes('ruby')
      // Only the last of the overlapping attempts counts.
      expect(all.map(({ error_event, is_open }) => ({ error_event, is_open }))).toEqual([
        ...(isTaken ? [{ error_event: 0, is_open: false }] : []),
        { error_event: null, is_open: false },
      ])
      expect(all[0]?.process_id).toBe(node.processId)
      expect(await row(id)).toMatchObject({ error: null, locked_by_id: null })
    }
  })

  test('whose lane the server ended unnoticed: Ruby runs the job again, and the outcome of the first run is dropped [GJ-042]', async () => {
    const id = await runInNode('unnoticed')
    wire.hold('both', { names: /Lane/, newOnes: false })
    await app.pool.query(TERMINATE_LANE)
    await wakeRuby()
    await eventually('it runs in Ruby too', async () => (await startedBy('unnoticed')).includes('ruby'))
    await open('unnoticed')
    await untilFinished(id)
    await eventually('Node drops its outcome', async () => node.program.words().includes('"event":"outcome_lost"'))
    const [first, second, ...more] = await attempts(id)
    expect(first).toMatchObject({ process_id: node.processId, error_event: 0 })
    expect(second).toMatchObject({ error_event: null, is_open: false })
    expect(second?.process_id).not.toBe(node.processId)
    expect(more).toEqual([])
    wire.release()
  })

  test('that is stopped until its row has expired: Ruby releases the job, but does not run it while its lock is held [GJ-042]', async () => {
    const id = await runInNode('stopped')
    process.kill(node.pid, 'SIGSTOP')
    try {
      await app.pool.query(
        `UPDATE good_job_processes SET updated_at = updated_at - interval '6 minutes' WHERE id = $1`,
        [node.processId],
      )
      await app.run('GoodJob::Process.cleanup; nil')
      expect(await row(id)).toMatchObject({ locked_by_id: null, finished_at: null })
      await wakeRuby()
      const marker = await app.run<string>(`MemberJob.set(queue: 'shared').perform_later('marker').job_id`)
      await untilFinished(marker)
      expect(await startedBy('stopped')).toEqual(['node'])
    } finally {
      process.kill(node.pid, 'SIGCONT')
    }
    await open('stopped')
    await untilFinished(id)
    expect(await row(id)).toMatchObject({ error: null, locked_by_id: null })
    expect((await attempts(id)).filter(({ error_event }) => error_event === null)).toHaveLength(1)
    await eventually(
      'its process row exists again',
      async () => {
        const { rowCount } = await app.pool.query('SELECT FROM good_job_processes WHERE id = $1', [node.processId])
        return rowCount
      },
      60_000,
    )
  })
})
