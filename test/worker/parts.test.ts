import { afterAll, describe, expect, test } from 'vitest'
import { parseQueueString } from '../../src/claim/queue-string.ts'
import { durationsOf, type Options, resolveConfiguration } from '../../src/configuration.ts'
import { Deadline } from '../../src/deadline.ts'
import { events } from '../../src/events.ts'
import { JobRegistry } from '../../src/job/definition/registry.ts'
import { silentLogger } from '../../src/job/logger.ts'
import type { ReachOptions } from '../../src/sql/connection/reach.ts'
import { systemClock } from '../../src/time.ts'
import { buildParts } from '../../src/worker/capsule-parts.ts'
import { type Part, Parts } from '../../src/worker/part.ts'
import { partList } from '../../src/worker/part-list.ts'
import { enqueue, Gate, jobClass, next, openWorld, record } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const PROCESS_ID = '00000000-0000-4000-8000-000000000001'
const startContext = (signal = new AbortController().signal): ReachOptions => ({
  deadline: new Deadline(Number.POSITIVE_INFINITY),
  timeoutMs: 0,
  onRetry: () => undefined,
  signal,
})

/** Parts that log their starts and stops. */
const noted = (...names: string[]) => {
  const log: string[] = []
  const part = (name: string, more: Partial<Part> = {}): Part => ({
    name,
    servesJobs: false,
    start: async () => void log.push(`start ${name}`),
    stop: async () => void log.push(`stop ${name}`),
    ...more,
  })
  return { log, part, parts: names.map((name) => part(name)) }
}

describe('the parts of a worker', () => {
  test('start in the order of the list and stop in reverse, including an added part', async () => {
    const { log, part, parts } = noted('row', 'lanes')
    const list = new Parts(PROCESS_ID, [...parts, part('added')])
    await list.start(startContext())
    expect(await list.stop(new Deadline(0))).toBeUndefined()
    expect(log).toEqual(['start row', 'start lanes', 'start added', 'stop added', 'stop lanes', 'stop row'])
    await list.stop(new Deadline(0))
    expect(log).toHaveLength(6)
  })

  test('that have begun are stopped in reverse after a failed start, including the failed part, and no others', async () => {
    const { log, part, parts } = noted('row', 'lanes')
    const failing = part('listener', { start: () => Promise.reject(new Error('refused')) })
    const list = new Parts(PROCESS_ID, [...parts, failing, part('pools')])
    await expect(list.start(startContext())).rejects.toThrow('refused')
    await list.stop(new Deadline(0))
    expect(log).toEqual(['start row', 'start lanes', 'stop listener', 'stop lanes', 'stop row'])
  })

  test('that follow are not started once the signal is aborted', async () => {
    const { log, part, parts } = noted('row')
    const stop = new AbortController()
    const slow = part('lanes', { start: async () => stop.abort(new Error('stopped')) })
    const list = new Parts(PROCESS_ID, [...parts, slow, part('pools')])
    await expect(list.start(startContext(stop.signal))).rejects.toThrow('stopped')
    await list.stop(new Deadline(0))
    expect(log).toEqual(['start row', 'stop lanes', 'stop row'])
  })

  test('are stopped also if the stop of one throws, which is reported by its name', async () => {
    const { log, part, parts } = noted('row')
    const errors = record('worker_error')
    const list = new Parts(PROCESS_ID, [...parts, part('lanes', { stop: () => Promise.reject(new Error('no')) })])
    await list.start(startContext())
    await list.stop(new Deadline(0))
    errors.stop()
    expect(log).toEqual(['start row', 'start lanes', 'stop row'])
    expect(errors.seen).toMatchObject([{ processId: PROCESS_ID, part: 'lanes', error: { message: 'no' } }])
  })

  test('that serve jobs stop after the jobs, even if those ignore their signal; all others stop before, with a deadline of their own', async () => {
    const { log, part } = noted()
    let endJobs = () => {}
    const jobs = new Promise<void>((resolve) => {
      endJobs = resolve
    })
    const deadlines: number[] = []
    const row = part('row', {
      servesJobs: true,
      stop: async (deadline) => {
        deadlines.push(deadline.leftMs)
        log.push('stop row')
      },
    })
    const pools = part('pools', { servesJobs: true, remainingJobs: () => jobs })
    const list = new Parts(PROCESS_ID, [row, part('sweeps'), pools])
    await list.start(startContext())
    const stopLater = await list.stop(new Deadline(0))
    expect(log.slice(3)).toEqual(['stop pools', 'stop sweeps'])
    const ended = stopLater?.(60_000)
    log.push('the jobs end')
    endJobs()
    await ended
    expect(log.slice(5)).toEqual(['the jobs end', 'stop row'])
    expect(deadlines[0]).toBeGreaterThan(50_000)
  })
})

describe('the list of parts', () => {
  const namesWith = (options: Options): string[] => {
    const configuration = resolveConfiguration({ databaseUrl: world.url, ...options })
    const worker = buildParts({
      ...{ database: world.adapter.database, adapter: world.adapter, registry: new JobRegistry() },
      ...{ processId: PROCESS_ID, clock: systemClock, logger: silentLogger },
      configuration,
      durations: durationsOf(configuration),
      pools: parseQueueString('*', 1),
      stopping: new AbortController().signal,
      onActivity: () => undefined,
    })
    return partList(worker).map(({ name }) => name)
  }

  test('begins with the process row and ends with the parts that bring in jobs', () => {
    expect(namesWith({})).toEqual([
      'connections',
      'process row',
      'sessions',
      'attempt watch',
      'maintenance',
      'listener',
      'pools',
      'poller',
    ])
  })

  test('has no notifier if LISTEN is off', () => {
    const names = namesWith({})
    expect(namesWith({ enableListenNotify: false })).toEqual(names.filter((name) => name !== 'listener'))
  })

  test('makes a worker listen before it claims, and end LISTEN as soon as the shutdown begins, while a job still runs', async () => {
    const gate = new Gate()
    const GateJob = jobClass('GateJob', (job) => gate.pass(job))
    const log: string[] = []
    const note = (name: string) => () => void log.push(name)
    const noted = ['notifier_listen', 'scheduler_create_pool', 'notifier_unlisten', 'perform_job'] as const
    const listeners = noted.map((name) => [name, note(name)] as const)
    for (const [name, listener] of listeners) events.on(name, listener)
    const capsule = await world.start({ jobs: [GateJob] })
    await enqueue(GateJob)
    await gate.entered
    const unlistened = next('notifier_unlisten')
    const stopped = capsule.shutdown({ timeout: -1 })
    await unlistened
    gate.open()
    await stopped
    for (const [name, listener] of listeners) events.off(name, listener)
    expect(log).toEqual([...noted])
  })
})
