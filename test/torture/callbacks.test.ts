import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { addJob, at, violations, world } from './scene.ts'

const addCallback = async (event: string, batchId: string, columns: Record<string, unknown> = {}): Promise<void> => {
  const params = { job_class: 'EchoJob', arguments: [{}, { event: { value: event } }] }
  await addJob([{ worker: 'node-1', from: 5, to: 6 }], {
    batch_callback_id: batchId,
    serialized_params: JSON.stringify(params),
    ...columns,
  })
}

const addFault = (worker: string, faultAt: number, takesLocks = true) =>
  world.sql(`INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('cut', $1, $2, $3, $3)`, [
    worker,
    takesLocks,
    at(faultAt),
  ])

test('the report lists callbacks that are missing, enqueued twice or not owed', async () => {
  const batchId = randomUUID()
  await world.sql(
    `INSERT INTO good_job_batches (id, created_at, updated_at, description, enqueued_at, jobs_finished_at, finished_at)
     VALUES ($1, $2, $2, 'node', $2, $3, $3)`,
    [batchId, at(0), at(4)],
  )
  await addJob([{ worker: 'node-1', from: 1, to: 2 }], { batch_id: batchId })
  for (const event of ['finish', 'finish', 'discard']) await addCallback(event, batchId)
  expect(await violations()).toEqual([
    '1 discard callbacks of node batches that were not owed',
    '1 finish callbacks of node batches given twice',
    '1 success callbacks of node batches missing',
  ])
})

/** Leaves one batch whose only member this worker discarded, with `discarded_at` at `stampedAt`; returns the ids of both. */
const addDiscardedBatch = async (worker: string, stampedAt: number): Promise<{ batchId: string; memberId: string }> => {
  await world.sql(
    'TRUNCATE fleet_attempts, fleet_faults, good_jobs, good_job_executions, good_job_batches, fleet_actions',
  )
  await world.sql('DROP TABLE IF EXISTS fleet_runs')
  const batchId = randomUUID()
  await world.sql(
    `INSERT INTO good_job_batches (id, created_at, updated_at, description, enqueued_at, discarded_at, jobs_finished_at, finished_at)
     VALUES ($1, $2, $2, 'shared', $2, $3, $3, $3)`,
    [batchId, at(0), at(stampedAt)],
  )
  const memberId = await addJob([{ worker, from: 1, to: 2 }], { batch_id: batchId })
  await world.sql(`UPDATE good_job_executions SET error = 'x', error_event = 5 WHERE active_job_id = $1`, [memberId])
  return { batchId, memberId }
}

test('a success that is missing because Ruby set discarded_at long after the failure is counted separately', async () => {
  const missing = async (worker: string, stampedAt: number): Promise<string[]> => {
    await addDiscardedBatch(worker, stampedAt)
    return (await violations()).filter((line) => line.includes('success'))
  }
  const expected = ['1 success callbacks of shared batches missing']
  expect(await missing('skiplocked-1', 20)).toEqual([])
  expect(await missing('skiplocked-1', 4)).toEqual(expected)
  expect(await missing('node-1', 20)).toEqual(expected)
})

test('an on_discard that Ruby owed during a fault is counted separately', async () => {
  const missing = async (worker: string, faultAt: number): Promise<string[]> => {
    await addDiscardedBatch(worker, 2.1)
    await addFault(worker, faultAt)
    return (await violations()).filter((line) => line.includes('discard'))
  }
  const expected = ['1 discard callbacks of shared batches missing']
  expect(await missing('skiplocked-1', 3)).toEqual([])
  expect(await missing('skiplocked-1', 50)).toEqual(expected)
  expect(await missing('node-1', 3)).toEqual(expected)
})

test('an on_finish is counted separately if a Ruby process that ran a member had a fault at the end of the batch', async () => {
  const missing = async (worker: string, faultAt: number, takesLocks = true): Promise<string[]> => {
    const { batchId } = await addDiscardedBatch('node-1', 2.1)
    // Not the last member: the first process that checks the batch after the last outcome enqueues the owed callbacks.
    await addJob([{ worker, from: 0.5, to: 0.8 }], { batch_id: batchId })
    await addFault(worker, faultAt, takesLocks)
    return (await violations()).filter((line) => line.includes('finish'))
  }
  const expected = ['1 finish callbacks of shared batches missing']
  expect(await missing('skiplocked-1', 3)).toEqual([])
  expect(await missing('skiplocked-1', 50)).toEqual(expected)
  expect(await missing('skiplocked-1', 3, false)).toEqual(expected)
  expect(await missing('node-1', 3)).toEqual(expected)
})

test('an on_discard is owed for a waiting job that was force-discarded, and may be owed if the result of that is unknown', async () => {
  const reported = async (isDone: boolean | null, isGiven: boolean): Promise<string[]> => {
    const { batchId, memberId } = await addDiscardedBatch('node-1', 2.1)
    await world.sql('UPDATE good_job_executions SET error = NULL, error_event = NULL')
    await world.sql(`INSERT INTO fleet_actions (job_id, action, is_done) VALUES ($1, 'force discard', $2)`, [
      memberId,
      isDone,
    ])
    if (isGiven) await addCallback('discard', batchId)
    return (await violations()).filter((line) => line.includes('discard'))
  }
  expect(await reported(true, true)).toEqual([])
  expect(await reported(true, false)).toEqual(['1 discard callbacks of shared batches missing'])
  expect(await reported(false, true)).toEqual(['1 discard callbacks of shared batches that were not owed'])
  expect(await reported(false, false)).toEqual([])
  expect(await reported(null, true)).toEqual([])
  expect(await reported(null, false)).toEqual([])
})

/** As Node makes them: they begin with the time. */
const nodeId = () => randomUUID().replace(/^(.{14})4/, '$17')

test('a second on_discard of Ruby, for a failure from before the success, is counted separately; any other is reported', async () => {
  const reported = async (late: Record<string, unknown>, meanwhile?: (memberId: string) => Promise<unknown>) => {
    const { batchId, memberId } = await addDiscardedBatch('skiplocked-1', 2.1)
    await addCallback('discard', batchId, { id: nodeId(), created_at: at(3) })
    await addCallback('success', batchId, { id: nodeId(), created_at: at(10) })
    await addCallback('discard', batchId, late)
    await meanwhile?.(memberId)
    return (await violations()).filter((line) => line.includes('discard'))
  }
  const twice = ['1 discard callbacks of shared batches given twice']
  expect(await reported({ created_at: at(12) })).toEqual([])
  expect(await reported({ created_at: at(12), id: nodeId() })).toEqual(twice)
  expect(await reported({ created_at: at(9) })).toEqual(twice)
  expect(
    await reported({ created_at: at(12) }, (id) =>
      world.sql('UPDATE good_job_executions SET finished_at = $2 WHERE active_job_id = $1', [id, at(11)]),
    ),
  ).toEqual(twice)
  expect(
    await reported({ created_at: at(12) }, (id) =>
      world.sql(`INSERT INTO fleet_actions (job_id, action, at, is_done) VALUES ($1, 'force discard', $2, true)`, [
        id,
        at(11),
      ]),
    ),
  ).toEqual(twice)
})
