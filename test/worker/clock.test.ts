import { afterAll, afterEach, expect, test, vi } from 'vitest'
import { inTurn } from '../support/clean-up.ts'
import { ago, enqueue, jobClass, next, openWorld, performed } from '../support/harness.ts'

const world = await openWorld()
afterAll(inTurn(() => world.close()))
afterEach(() => vi.restoreAllMocks())

const HOUR_MS = 3_600_000
const Good = jobClass('Good', () => undefined)

/** Shifts `Date` in this process, as if the clock of the machine had been set. */
const setClock = (aheadMs: number) => {
  const real = performance.timeOrigin
  vi.spyOn(Date, 'now').mockImplementation(() => Math.floor(real + performance.now() + aheadMs))
}

test('a clock set an hour ahead and back is reported both times, starts the jobs due by it, and rows get the corrected time', async () => {
  await using _capsule = await world.start({ jobs: [Good], pollInterval: -1 })
  await performed(await enqueue(Good))
  const id = await world.insert({ job_class: 'Good', scheduled_at: ago(-HOUR_MS / 2000), created_at: ago(0) })
  const ahead = next('clock_jumped')
  const done = performed(id)
  setClock(HOUR_MS)
  expect((await ahead)[0]?.jumpedMs).toBeGreaterThan(HOUR_MS - 5_000)
  // Without NOTIFY and polls the jump alone makes the pool query again.
  await done
  const back = next('clock_jumped')
  vi.restoreAllMocks()
  // The pool knows the scheduled times as seen from the wrong hour: it must query again to find this one.
  const onTime = performed(await world.insert({ job_class: 'Good', scheduled_at: ago(-3), created_at: ago(0) }))
  expect((await back)[0]?.jumpedMs).toBeLessThan(5_000 - HOUR_MS)
  await onTime
  const later = await enqueue(Good)
  await performed(later)
  const { performed_at: start, finished_at: end } = await world.job(later)
  for (const at of [start, end]) expect(Math.abs((at as Date).getTime() - Date.now())).toBeLessThan(60_000)
})
