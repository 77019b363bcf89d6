import { expect, test } from 'vitest'
import { SCOPE_USES, type ScopeUse } from '../../torture/limits.ts'
import { prepareRuns } from '../../torture/runs.ts'
import { addJob, addWorker, at, type Run, violations, world } from './scene.ts'

const run = (worker: string, from: number, to: number | null): Run => ({ worker, from, to })
const add = (jobClass: string, ...runs: readonly Run[]) => addJob(runs, { job_class: jobClass })
const scopes = async (): Promise<ScopeUse[]> => {
  await prepareRuns(world.pool)
  return (await world.pool.query<ScopeUse>(SCOPE_USES)).rows
}
const usedAtMost = async () => Object.fromEntries((await scopes()).map(({ scope, most }) => [scope, most]))

test('as many jobs of a scope as its limit, and one in the moment in which another ends, break no promise', async () => {
  for (const from of [1, 2, 3, 5]) await add('Fleet::Key3Job', run('node-1', from, from + 4))
  for (const from of [1, 5]) await add('Fleet::Key1Job', run('hybrid-1', from, from + 4))
  expect(await usedAtMost()).toEqual({ 'key:fleet-3': 3, 'key:fleet-1': 1 })
  await world.sql('DROP TABLE fleet_runs')
  expect(await violations()).toEqual([])
})

test('a job more than its limit is counted in each scope of the job, for both sides', async () => {
  await add('Fleet::Key1Job', run('node-1', 1, 5))
  await add('Fleet::Both1Job', run('hybrid-1', 4, 8))
  await add('Fleet::Label1Job', run('hybrid-1', 7, 9))
  expect(await violations()).toEqual(['1 starts beyond the limit 1 of key:fleet-1'])
  expect((await world.pool.query(SCOPE_USES)).rows).toMatchObject([
    { scope: 'key:fleet-1', attempts: 2, most: 2, exceeded: 1, exceededByRuby: 0 },
    { scope: 'label:fleet-1', attempts: 2, most: 2, exceeded: 0, exceededByRuby: 1 },
  ])
})

test('a job runs until its worker is killed, or until it is force-discarded or begun again', async () => {
  const forced = await add('Fleet::Key1Job', run('node-1', 1, 9))
  await world.sql(`INSERT INTO fleet_actions (job_id, action, at, is_done) VALUES ($1, 'force discard', $2, true)`, [
    forced,
    at(2),
  ])
  await add('Fleet::Key1Job', run('node-2', 3, null))
  await world.sql('INSERT INTO fleet_deaths (worker, at) VALUES ($1, $2)', ['node-2', at(4)])
  await add('Fleet::Key1Job', { ...run('node-1', 5, 9), written: 'interrupted' }, run('node-1', 6, 7))
  await add('Fleet::Key1Job', run('node-1', 8, 9))
  await addWorker('node-1')
  expect(await usedAtMost()).toEqual({ 'key:fleet-1': 1 })
})

test('the longest wait of a scope is counted from the moment at which a job becomes due', async () => {
  await add('Fleet::Label3Job', { ...run('node-1', 5, 6), due: 4 })
  await add('Fleet::Label3Job', { ...run('node-1', 9, 10), due: 2 })
  await world.sql('UPDATE good_jobs SET created_at = $1', [at(0)])
  expect(await scopes()).toMatchObject([{ scope: 'label:fleet-3', longestWait: 7 }])
})
