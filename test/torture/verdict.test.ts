import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { addJob, addWorker, at, type Run, violations, world } from './scene.ts'

test('attempts one after the other break no promise', async () => {
  const id = await addJob([
    { worker: 'node-1', from: 1, to: 2, outcome: 'failed', written: 'interrupted' },
    { worker: 'hybrid-1', from: 3, to: 4 },
  ])
  expect(await violations([id])).toEqual([])
})

test('two attempts at the same time are reported, also if Ruby made one of them', async () => {
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

test('a lost lock explains an overlap, unless the attempt still wrote its outcome', async () => {
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

test('an attempt whose deferred start was rolled back does not count the execution that its worker wrote before', async () => {
  await addJob([
    { worker: 'node-1', from: 1, to: 2, outcome: 'failed' },
    { worker: 'node-1', from: 10, to: 14, written: 'nothing' },
    { worker: 'node-2', from: 12, to: 13 },
  ])
  await world.sql(
    `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('cut', 'node-1', true, $1, $1)`,
    [at(9)],
  )
  expect((await violations()).filter((line) => line.includes('overlapping'))).toEqual([])
  await world.sql('DROP TABLE fleet_runs')
  await world.sql('TRUNCATE fleet_faults')
  expect(await violations()).toContain('1 overlapping attempts (node, node)')
})

test('an outcome that Ruby wrote late, over a claim of Node, explains an overlap with the attempt that Node then dropped', async () => {
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
  const expected = ['1 overlapping attempts (node, ruby)']
  expect(await wanted(10, 'interrupted')).toEqual(expected)
  await world.sql(
    `INSERT INTO fleet_faults (kind, worker, takes_locks, at, over_at) VALUES ('stop', 'skiplocked-1', false, $1, $2)`,
    [at(2), at(9)],
  )
  expect(await wanted(10, 'interrupted')).toEqual([])
  expect(await wanted(2, 'interrupted')).toEqual(expected)
  expect(await wanted(10, 'success')).toEqual(expected)
})

test('an attempt ends with its worker', async () => {
  await addJob([
    { worker: 'node-1', from: 1, to: null, written: 'interrupted' },
    { worker: 'node-2', from: 3, to: 6 },
  ])
  await world.sql(`INSERT INTO fleet_deaths VALUES ('node-1', $1)`, [at(2)])
  expect(await violations()).toEqual([])
})

test('an attempt after a success is reported, unless the job was retried manually', async () => {
  const runs: Run[] = [
    { worker: 'node-1', from: 1, to: 2 },
    { worker: 'node-2', from: 5, to: 6 },
  ]
  await addJob(runs)
  const retried = await addJob(runs)
  await world.sql(`INSERT INTO fleet_actions (job_id, action, at) VALUES ($1, 'retry', $2)`, [retried, at(3)])
  expect(await violations()).toEqual(['1 attempts after a success (node, node)'])
})

test("a query of an advisory Ruby worker before the success explains its start afterwards, if Node's session had ended before the success", async () => {
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
  const expected = ['1 attempts after a success (node, ruby)']
  expect(await wanted()).toEqual([])
  expect(await wanted({ looked: 5.1 })).toEqual(expected)
  expect(await wanted({ endedAt: 6 })).toEqual(expected)
  expect(await wanted({ endedAt: 0.5 })).toEqual(expected)
  expect(await wanted({ of: 'node-2' })).toEqual(expected)
  expect(await wanted({ ruby: 'skiplocked-1' })).toEqual(expected)
  expect(await wanted({ ruby: 'hybrid-1' })).toEqual(expected)
})

test('a stalled Ruby worker may start a job after its success, but not from a query that it sent after the success', async () => {
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
  const expected = ['1 attempts after a success (node, ruby)']
  expect(await wanted(4)).toEqual([])
  expect(await wanted(6.5)).toEqual([])
  expect(await wanted(7.5)).toEqual(expected)
  expect(await wanted(4, 4.9)).toEqual(expected)
})

test('jobs without an end, without an attempt or without a row count as lost', async () => {
  await addJob([{ worker: 'node-1', from: 1, to: 2 }], { finished_at: null })
  await addJob([])
  expect(await violations([randomUUID()])).toEqual(['3 jobs lost'])
})

test('an attempt in Node before its scheduled time is reported', async () => {
  await addJob([{ worker: 'node-1', from: 1, to: 2, due: 30 }])
  await addJob([{ worker: 'advisory-1', from: 1, to: 2, due: 30 }])
  expect(await violations()).toEqual(['1 attempts in Node before their time'])
})
