import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkOptionsOf } from '../../src/batch/context.ts'
import { writeOutcomes } from '../../src/perform/outcome/transaction.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import type { World } from '../support/harness.ts'
import { claimAll, outcomeOf } from './outcomes.ts'
import { openBatchWorld, Scene } from './scene.ts'

let world: World
beforeAll(async () => {
  world = await openBatchWorld()
})
afterAll(() => world.close())

test('thirty outcomes of three batches take one transaction: one lock statement, one query of the batches, one update', async () => {
  const names = Array.from({ length: 10 }, (_, index) => `member ${index}`)
  const members = Object.fromEntries(names.map((name) => [name, ['ok'] as const]))
  const scenes = [
    await Scene.enqueue(world, members),
    await Scene.enqueue(world, members),
    await Scene.enqueue(world, { ...members, later: { startsIn: 3600 } }),
  ]
  const client = await world.database.connect()
  const { rows, now, processId } = await claimAll(world, client, ['MemberJob'])
  expect(rows).toHaveLength(30)
  const finishedAt = world.adapter.clock.timestamp()
  const bad = scenes[1]?.id('member 3')
  const outcomes = rows.map((row) => outcomeOf(row, now, finishedAt, row.id === bad ? 'Error: no' : null))

  const statements: string[] = []
  const db: Queryable = client
  const spy: Queryable = {
    query: (statement) => {
      statements.push(statement.name?.replace(/_\d+$/, '') ?? statement.text.trim().split(/\s/)[0] ?? '')
      return db.query(statement)
    },
  }
  const facts = await world.adapter.database.facts()
  const context = { facts, processId, keepsCreatedAt: false, notifies: true, check: checkOptionsOf(world.adapter) }
  const settlement = await writeOutcomes(spy, outcomes, context)
  await client.end()

  expect(new Set(settlement.values())).toEqual(new Set(['written']))
  const once = ['BEGIN', 'SELECT', 'finish_jobs', 'batch_states', 'write_batch_times', 'insert_jobs', 'COMMIT']
  expect(statements).toEqual(once)
  const seen = await Promise.all(scenes.map((scene) => scene.seen()))
  expect(seen.map(({ isDiscarded, isEnded, callbacks }) => [isDiscarded, isEnded, callbacks.toSorted()])).toEqual([
    [false, true, ['finish', 'success']],
    [true, true, ['discard', 'finish']],
    [false, false, []],
  ])
})
