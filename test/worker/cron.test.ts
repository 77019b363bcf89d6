import { afterAll, expect, test } from 'vitest'
import { enqueue, Gate, jobClass, next, openWorld, performed } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const TickJob = jobClass('TickJob', () => undefined)
const secondly = (key: string) => ({ [key]: { cron: '* * * * * *', class: TickJob, set: { queue: 'nobody' } } })

test('a shutdown ends cron first: while a job runs to its end, nothing more is enqueued', async () => {
  const gate = new Gate()
  const GateJob = jobClass('GateJob', (job) => gate.pass(job))
  const jobs = [GateJob, TickJob]
  await using _other = await world.start({
    jobs: [TickJob],
    queues: 'nobody',
    cron: secondly('fence'),
    enableCron: true,
  })
  const capsule = await world.start({ jobs, queues: '-nobody', cron: secondly('tick'), enableCron: true })
  await next('cron_enqueued', 1, ({ key, processId }) => key === 'tick' && processId === capsule.processId)
  const id = await enqueue(GateJob)
  await gate.entered
  const stopped = capsule.shutdown()
  await next('cron_enqueued', 1, ({ key }) => key === 'fence')
  const count = async () => (await world.sql(`SELECT FROM good_jobs WHERE cron_key = 'tick'`)).length
  const before = await count()
  await next('cron_enqueued', 2, ({ key }) => key === 'fence')
  expect(await count()).toBe(before)
  const done = performed(id)
  gate.open()
  await done
  await stopped
})

test('a worker without enableCron enqueues nothing, but its adapter runs and switches entries', async () => {
  await using capsule = await world.start({ jobs: [TickJob], queues: '-nobody', cron: secondly('quiet') })
  await using _other = await world.start({
    jobs: [TickJob],
    queues: '-nobody',
    cron: secondly('fence2'),
    enableCron: true,
  })
  await next('cron_enqueued', 2, ({ key }) => key === 'fence2')
  expect(await world.sql(`SELECT FROM good_jobs WHERE cron_key = 'quiet'`)).toEqual([])
  expect(await capsule.adapter.cron.run('quiet')).toBeTruthy()
  expect(await world.sql(`SELECT queue_name FROM good_jobs WHERE cron_key = 'quiet'`)).toEqual([
    { queue_name: 'nobody' },
  ])
})
