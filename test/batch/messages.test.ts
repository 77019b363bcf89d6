import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import type { World } from '../support/harness.ts'
import { messagesDuring } from '../support/messages.ts'
import { MemberJob, openBatchWorld } from './scene.ts'

let world: World
beforeAll(async () => {
  world = await openBatchWorld()
})
afterAll(() => world.close())

test('members inserted in several pages are announced in one NOTIFY message with their total count [GJ-019]', async () => {
  const waitUntil = new Date('2036-01-31T12:00:00Z')
  const jobs = Array.from({ length: 2_500 }, () => new MemberJob('paged').set({ queue: 'pages', waitUntil }))
  const seen = await messagesDuring(world.database, () => new Batch({}, world.adapter).enqueue(jobs))
  expect(seen.map((text) => JSON.parse(text))).toEqual([
    { queue_name: 'pages', count: 2_500, scheduled_at: '2036-01-31T12:00:00.000Z' },
  ])
})
