import { hostname } from 'node:os'
import { pid } from 'node:process'
import { afterAll, expect, test } from 'vitest'
import type { JobExplanation } from '../../src/maintenance/why/reasons.ts'
import { enqueue, Gate, jobClass, openWorld, performed } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const why = (id: string) => world.adapter.why(id)

test('a due job waits for a place, or for a throttle, under a rule that its worker has published', async () => {
  const gate = new Gate()
  const one = jobClass(
    'OneJob',
    (job) => gate.pass(job),
    (made) => made.controlConcurrencyWith({ key: 'one', performLimit: 1, performThrottle: [1, 3_600] }),
  )
  const api = jobClass('ApiJob', () => undefined)
  await using _capsule = await world.start({
    jobs: [one, api],
    concurrency: [{ label: 'api', performLimit: 0 }],
  })
  const first = await enqueue(one)
  await gate.entered
  const second = await world.insert({ job_class: 'OneJob', concurrency_key: 'one' })
  const process = { hostname: hostname(), pid: String(pid) }
  expect(await why(second)).toMatchObject({
    reason: 'concurrency_full',
    key: 'key:one',
    limit: 1,
    running: 1,
    holders: [{ jobId: first, startedAt: expect.any(Date), process }],
  })
  const labelled = await world.insert({ job_class: 'ApiJob', labels: ['api'] })
  expect(await why(labelled)).toMatchObject({ reason: 'concurrency_full', key: 'label:api', limit: 0, holders: [] })
  const done = performed(first)
  gate.open()
  await done
  const { until, ...reason } = (await why(second)) as Extract<JobExplanation, { reason: 'concurrency_throttled' }>
  expect(reason).toMatchObject({ reason: 'concurrency_throttled', key: 'key:one', count: 1, seconds: 3_600 })
  expect(until?.getTime()).toBeGreaterThan(Date.now() + 3_000_000)
})
