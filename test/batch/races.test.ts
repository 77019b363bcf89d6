import { afterAll, beforeAll, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { Job } from '../../src/job/base.ts'
import type { World } from '../support/harness.ts'
import { ALL_CALLBACKS, CallbackJob, callbacksByDescription, openBatchWorld } from './scene.ts'

const ROUNDS = 1_000
const WORKERS = 8
const MEMBERS = 8

/** Members of one batch wait for each other, so that they end at the same instant, each in whatever worker has it. */
class RaceJob extends Job<[batch: number, fails: boolean]> {
  static readonly waiting = new Map<number, (() => void)[]>()

  async perform(batch: number, fails: boolean): Promise<void> {
    const others = RaceJob.waiting.get(batch) ?? []
    RaceJob.waiting.set(batch, others)
    if (others.length === MEMBERS - 1) for (const go of others) go()
    else await new Promise<void>((resolve) => others.push(resolve))
    if (fails) throw new Error('the one that fails')
  }
}

let world: World
beforeAll(async () => {
  world = await openBatchWorld()
})
afterAll(() => world.close())

test(`${WORKERS} workers end the members of ${ROUNDS} batches at the same instant: each callback exactly once [GJ-065] [GJ-066]`, async () => {
  const pairs = Array.from({ length: ROUNDS }, (_, round) => {
    const jobs = Array.from({ length: MEMBERS }, (_, member) => new RaceJob(round, round % 2 === 1 && member === 0))
    return [{ ...ALL_CALLBACKS, description: round % 2 === 1 ? 'broken' : 'good' }, jobs] as const
  })
  await Batch.enqueueAll(pairs)
  const workers = await Promise.all(
    Array.from({ length: WORKERS }, () => world.start({ jobs: [RaceJob, CallbackJob], threads: 2 * MEMBERS })),
  )
  const open = `SELECT (SELECT count(*) FROM good_job_batches WHERE finished_at IS NULL)::integer AS open`
  await expect
    .poll(async () => (await world.sql<{ open: number }>(open))[0]?.open, { timeout: 80_000, interval: 250 })
    .toBe(0)
  await Promise.all(workers.map((worker) => worker.shutdown()))
  expect(await callbacksByDescription(world)).toEqual([
    { description: 'broken', events: 'discard finish', batches: ROUNDS / 2 },
    { description: 'good', events: 'finish success', batches: ROUNDS / 2 },
  ])
  const processes = await world.sql('SELECT DISTINCT process_id FROM good_job_executions')
  expect(processes.length).toBe(WORKERS)
}, 120_000)
