import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { LEDGER_TABLES } from '../../torture/ledger.ts'
import { violationsOf } from '../../torture/report.ts'
import { judge, prepareRuns } from '../../torture/verdict.ts'
import { openWorld, type World } from '../support/harness.ts'

let world: World
const worlds: World[] = []
beforeEach(async () => {
  world = await openWorld()
  worlds.push(world)
  await world.sql(LEDGER_TABLES)
})
afterAll(() => Promise.all(worlds.map((each) => each.close())))

/** Seconds after some time of today. */
const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 31, 12) + seconds * 1000).toISOString()

interface Run {
  readonly worker: string
  readonly from: number
  /** Null: it never said so. */
  readonly to: number | null
  /** When its execution was begun. @default just before its body */
  readonly claimed?: number
  readonly outcome?: string
  readonly due?: number
  /** Whether its execution says that it ended, and how. @default 'success' */
  readonly written?: 'success' | 'interrupted'
  /** When that was written. @default at its end */
  readonly writtenAt?: number
}

const processes = new Map<string, string>()

const addWorker = async (worker: string): Promise<string> => {
  const known = processes.get(`${world.url} ${worker}`)
  if (known !== undefined) return known
  const id = randomUUID()
  processes.set(`${world.url} ${worker}`, id)
  const strategy = worker.split('-')[0]
  const side = strategy === 'node' ? 'node' : 'ruby'
  await world.sql('INSERT INTO fleet_workers VALUES ($1, $2, $3, $4)', [worker, side, strategy, id])
  return id
}

/** A job that has ended well, with the attempts that the ledger and the tables know of. */
const addJob = async (runs: readonly Run[], columns: Record<string, unknown> = {}): Promise<string> => {
  const id = await world.insert({ finished_at: at(60), ...columns })
  for (const run of runs) {
    const { worker, from, to, claimed = from - 0.1, outcome = 'done', due = 0, written = 'success', writtenAt } = run
    const process = await addWorker(worker)
    const isInterrupted = written === 'interrupted'
    await world.sql(
      `INSERT INTO fleet_attempts (job_id, job_class, executions, side, strategy, worker, due_at, started_at, ended_at, outcome)
       SELECT $1, 'EchoJob', 1, side, strategy, worker, $3, $4, $5, $6 FROM fleet_workers WHERE worker = $2`,
      [id, worker, at(due), at(from), to === null ? null : at(to), to === null ? null : outcome],
    )
    await world.sql(
      `INSERT INTO good_job_executions (created_at, updated_at, active_job_id, job_class, process_id, finished_at, error, error_event)
       VALUES ($1, $1, $2, 'EchoJob', $3, $4, $5, $6)`,
      [
        at(claimed),
        id,
        process,
        at(writtenAt ?? to ?? 50),
        isInterrupted ? 'interrupted' : null,
        isInterrupted ? 0 : null,
      ],
    )
  }
  return id
}

const violations = async (wanted: readonly string[] = []): Promise<string[]> => {
  await prepareRuns(world.pool)
  return violationsOf(await judge(world.pool, wanted), [])
}

test('attempts one after the other break no promise', async () => {
  const id = await addJob([
    { worker: 'node-1', from: 1, to: 2, outcome: 'failed', written: 'interrupted' },
    { worker: 'hybrid-1', from: 3, to: 4 },
  ])
  expect(await violations([id])).toEqual([])
})

test('two attempts at a time are told, also when Ruby made one of them', async () => {
  await addJob([
    { worker: 'node-1', from: 1, to: 5, written: 'interrupted' },
    { worker: 'node-2', from: 3, to: 6 },
  ])
  await addJob([
    { worker: 'advisory-1', from: 1, to: 5, written: 'interrupted' },
    { worker: 'node-2', from: 3, to: 6 },
  ])
  expect(await violations()).toEqual(['1 overlapping attempts (node, node)', '1 overlapping attempts (ruby, node)'])
})

test('a lock that was lost explains an overlap, unless the attempt wrote its outcome all the same', async () => {
  const overlapping = (written: 'success' | 'interrupted'): Run[] => [
    { worker: 'node-1', from: 1, to: 5, written },
    { worker: 'advisory-1', from: 3, to: 6 },
  ]
  await addJob(overlapping('interrupted'))
  await addWorker('node-1')
  await world.sql(
    `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('cut', 'node-1', true, $1, $1)`,
    [at(2)],
  )
  expect(await violations()).toEqual([])
  await world.sql('DROP TABLE fleet_runs')
  await addJob(overlapping('success'))
  expect(await violations()).toEqual(['1 overlapping attempts (node, ruby)'])
})

test('an outcome that Ruby wrote late, over a claim of Node, explains an overlap with what Node then dropped', async () => {
  const runs = (writtenAt: number, written: 'success' | 'interrupted'): Run[] => [
    { worker: 'skiplocked-1', from: 1, to: 2, outcome: 'failed', writtenAt },
    { worker: 'node-1', from: 10.2, to: 14, outcome: 'failed', written },
    { worker: 'skiplocked-1', from: 11, to: 12 },
  ]
  const wanted = async (writtenAt: number, written: 'success' | 'interrupted') => {
    await world.sql('TRUNCATE fleet_attempts, good_jobs, good_job_executions')
    await world.sql('DROP TABLE IF EXISTS fleet_runs')
    await addJob(runs(writtenAt, written))
    return (await violations()).filter((line) => line.includes('overlapping'))
  }
  const told = ['1 overlapping attempts (node, ruby)']
  expect(await wanted(10, 'interrupted')).toEqual(told)
  await world.sql(
    `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('stop', 'skiplocked-1', false, $1, $2)`,
    [at(2), at(9)],
  )
  expect(await wanted(10, 'interrupted')).toEqual([])
  expect(await wanted(2, 'interrupted')).toEqual(told)
  expect(await wanted(10, 'success')).toEqual(told)
})

test('an attempt ends with its worker', async () => {
  await addJob([
    { worker: 'node-1', from: 1, to: null, written: 'interrupted' },
    { worker: 'node-2', from: 3, to: 6 },
  ])
  await world.sql(`INSERT INTO fleet_deaths VALUES ('node-1', $1)`, [at(2)])
  expect(await violations()).toEqual([])
})

test('an attempt after a success is told, unless somebody retried the job by hand', async () => {
  const runs: Run[] = [
    { worker: 'node-1', from: 1, to: 2 },
    { worker: 'node-2', from: 5, to: 6 },
  ]
  await addJob(runs)
  const retried = await addJob(runs)
  await world.sql(`INSERT INTO fleet_actions VALUES ($1, 'retry', $2)`, [retried, at(3)])
  expect(await violations()).toEqual(['1 attempts after a success (node, node)'])
})

test('a look of Ruby on advisory before the success explains its start afterwards, if the session had ended before the success', async () => {
  const wanted = async ({ ruby = 'advisory-1', looked = 4, endedAt = 3, of = 'node-1' } = {}) => {
    await world.sql('TRUNCATE fleet_attempts, fleet_faults, good_jobs, good_job_executions')
    await world.sql('DROP TABLE IF EXISTS fleet_runs')
    await addJob([
      { worker: 'node-1', from: 1, to: 2, writtenAt: 5 },
      { worker: ruby, claimed: looked, from: 7, to: 8 },
    ])
    await world.sql(
      `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('cut', $1, true, $2, $2)`,
      [of, at(endedAt)],
    )
    return (await violations()).filter((line) => line.includes('after a success'))
  }
  const told = ['1 attempts after a success (node, ruby)']
  expect(await wanted()).toEqual([])
  expect(await wanted({ looked: 5.1 })).toEqual(told)
  expect(await wanted({ endedAt: 6 })).toEqual(told)
  expect(await wanted({ endedAt: 0.5 })).toEqual(told)
  expect(await wanted({ of: 'node-2' })).toEqual(told)
  expect(await wanted({ ruby: 'skiplocked-1' })).toEqual(told)
  expect(await wanted({ ruby: 'hybrid-1' })).toEqual(told)
})

test('a Ruby worker that was held up may start after a success, but not with a look that came after it', async () => {
  const wanted = async (looked: number, overAt = 6) => {
    await world.sql('TRUNCATE fleet_attempts, fleet_faults, good_jobs, good_job_executions')
    await world.sql('DROP TABLE IF EXISTS fleet_runs')
    await addJob([
      { worker: 'node-1', from: 1, to: 2, writtenAt: 5 },
      { worker: 'hybrid-1', claimed: looked, from: 10, to: 11 },
    ])
    await world.sql(
      `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('stop', 'hybrid-1', false, $1, $2)`,
      [at(3), at(overAt)],
    )
    return (await violations()).filter((line) => line.includes('after a success'))
  }
  const told = ['1 attempts after a success (node, ruby)']
  expect(await wanted(4)).toEqual([])
  expect(await wanted(6.5)).toEqual([])
  expect(await wanted(7.5)).toEqual(told)
  expect(await wanted(4, 4.9)).toEqual(told)
})

test('jobs without an end, without a body or without a row are lost', async () => {
  await addJob([{ worker: 'node-1', from: 1, to: 2 }], { finished_at: null })
  await addJob([])
  expect(await violations([randomUUID()])).toEqual(['3 jobs lost'])
})

test('an attempt in Node before its time is told', async () => {
  await addJob([{ worker: 'node-1', from: 1, to: 2, due: 30 }])
  await addJob([{ worker: 'advisory-1', from: 1, to: 2, due: 30 }])
  expect(await violations()).toEqual(['1 attempts in Node before their time'])
})

test('callbacks that were owed and not given, given twice or not owed are told', async () => {
  const batchId = randomUUID()
  await world.sql(
    `INSERT INTO good_job_batches (id, created_at, updated_at, description, enqueued_at, jobs_finished_at, finished_at)
     VALUES ($1, $2, $2, 'node', $2, $3, $3)`,
    [batchId, at(0), at(4)],
  )
  await addJob([{ worker: 'node-1', from: 1, to: 2 }], { batch_id: batchId })
  for (const event of ['finish', 'finish', 'discard']) {
    const params = { job_class: 'EchoJob', arguments: [{}, { event: { value: event } }] }
    await addJob([{ worker: 'node-1', from: 5, to: 6 }], {
      batch_callback_id: batchId,
      serialized_params: JSON.stringify(params),
    })
  }
  expect(await violations()).toEqual([
    '1 discard callbacks of node batches that nobody owed',
    '1 finish callbacks of node batches given twice',
    '1 success callbacks of node batches missing',
  ])
})

/** Nothing but a batch whose one member this worker discarded, and that was stamped so late. */
const addDiscardedBatch = async (worker: string, stampedAt: number): Promise<void> => {
  await world.sql('TRUNCATE fleet_attempts, fleet_faults, good_jobs, good_job_executions, good_job_batches')
  await world.sql('DROP TABLE IF EXISTS fleet_runs')
  const batchId = randomUUID()
  await world.sql(
    `INSERT INTO good_job_batches (id, created_at, updated_at, description, enqueued_at, discarded_at, jobs_finished_at, finished_at)
     VALUES ($1, $2, $2, 'shared', $2, $3, $3, $3)`,
    [batchId, at(0), at(stampedAt)],
  )
  const id = await addJob([{ worker, from: 1, to: 2 }], { batch_id: batchId })
  await world.sql(`UPDATE good_job_executions SET error = 'x', error_event = 5 WHERE active_job_id = $1`, [id])
}

test('a success that is missing because Ruby stamped its batch long after the failure is counted apart', async () => {
  const missing = async (worker: string, stampedAt: number): Promise<string[]> => {
    await addDiscardedBatch(worker, stampedAt)
    return (await violations()).filter((line) => line.includes('success'))
  }
  const told = ['1 success callbacks of shared batches missing']
  expect(await missing('skiplocked-1', 20)).toEqual([])
  expect(await missing('skiplocked-1', 4)).toEqual(told)
  expect(await missing('node-1', 20)).toEqual(told)
})

test('an on_discard that Ruby owed when it met a fault is counted apart', async () => {
  const missing = async (worker: string, faultAt: number): Promise<string[]> => {
    await addDiscardedBatch(worker, 2.1)
    await world.sql(
      `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('cut', $1, true, $2, $2)`,
      [worker, at(faultAt)],
    )
    return (await violations()).filter((line) => line.includes('discard'))
  }
  const told = ['1 discard callbacks of shared batches missing']
  expect(await missing('skiplocked-1', 3)).toEqual([])
  expect(await missing('skiplocked-1', 50)).toEqual(told)
  expect(await missing('node-1', 3)).toEqual(told)
})

test('an on_finish is counted apart when any process in Ruby that ran a member met a fault as the batch ended', async () => {
  const missing = async (worker: string, faultAt: number, takesLocks = true): Promise<string[]> => {
    await addDiscardedBatch('node-1', 2.1)
    const [batch] = await world.sql<{ id: string }>('SELECT id FROM good_job_batches')
    // Not the last one: whichever process looks first after the last outcome enqueues what is owed.
    await addJob([{ worker, from: 0.5, to: 0.8 }], { batch_id: batch?.id })
    await world.sql(`INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('x', $1, $2, $3, $3)`, [
      worker,
      takesLocks,
      at(faultAt),
    ])
    return (await violations()).filter((line) => line.includes('finish'))
  }
  const told = ['1 finish callbacks of shared batches missing']
  expect(await missing('skiplocked-1', 3)).toEqual([])
  expect(await missing('skiplocked-1', 50)).toEqual(told)
  expect(await missing('skiplocked-1', 3, false)).toEqual(told)
  expect(await missing('node-1', 3)).toEqual(told)
})
