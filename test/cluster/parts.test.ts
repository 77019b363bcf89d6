import { describe, expect, test } from 'vitest'
import { ChildHealth } from '../../src/cluster/child-health.ts'
import { planCluster } from '../../src/cluster/plan.ts'
import { nextRestartCount, restartDelay } from '../../src/cluster/restarts.ts'
import type { Clock } from '../../src/time.ts'

describe('the plan of a cluster', () => {
  const plan = (queues: string, subprocesses = 0) =>
    planCluster({ queues, threads: 5, subprocesses, idleTimeout: undefined })

  test.each<[string, number, readonly string[] | undefined]>([
    ['*', 0, undefined],
    ['a:2|', 0, undefined],
    ['*', 1, ['*']],
    ['a;b:2', 2, ['a;b:2', 'a;b:2']],
    ['a|', 2, ['a', 'a']],
    ['a:1 | b,c:2;d', 0, ['a:1', 'b,c:2;d']],
    ['a|b|c', 2, ['a', 'b', 'c']],
    ['|a||b|', 0, ['a', 'b']],
  ])('%j with %i subprocesses is %j', (queues, subprocesses, expected) => {
    expect(plan(queues, subprocesses)?.queues).toEqual(expected)
  })

  test.each([
    ['a|b:x', 0],
    ['|', 2],
    ['a|;', 0],
  ])('%j with %i subprocesses is refused before any of them starts', (queues, subprocesses) => {
    expect(() => plan(queues, subprocesses)).toThrow(/^queues: /)
  })

  test('warns of options that have no effect', () => {
    expect(plan('a|b', 3)?.warnings).toEqual([expect.stringContaining('subprocesses (3) is ignored')])
    const idle = planCluster({ queues: '*', threads: 5, subprocesses: 2, idleTimeout: 60 })
    expect(idle?.warnings).toEqual([expect.stringContaining('idleTimeout is ignored')])
    expect(plan('*', 2)?.warnings).toEqual([])
  })
})

test('the delay before a replacement doubles from the third subprocess in a row that fails to start, up to 30 s', () => {
  expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 100].map(restartDelay)).toEqual([0, 0, 1, 2, 4, 8, 16, 30, 30, 30])
})

test.each([
  ['that lived for less than 10 s', { uptimeMs: 9_999, wasReady: true }, 4],
  ['that was never ready', { uptimeMs: 60_000, wasReady: false }, 4],
  ['that worked for 10 s', { uptimeMs: 10_000, wasReady: true }, 0],
])('a subprocess %s after three failures counts as %o', (_what, life, expected) => {
  expect(nextRestartCount({ ...life, restartCount: 3 })).toBe(expected)
})

describe('the health of a subprocess', () => {
  const scene = () => {
    let now = 0
    const clock: Clock = { monotonic: () => now, now: () => new Date(), timestamp: () => '' }
    return {
      health: new ChildHealth(clock),
      pass: (ms: number) => {
        now += ms
      },
    }
  }
  const FINE = { started: true, connected: true, ready: true }

  test('is bad until the first report', () => {
    const { health } = scene()
    expect([health.started, health.connected, health.ready]).toEqual([false, false, false])
    expect(health.whyNotReady).toBe('has not started yet')
  })

  test('is that of the last report, for 15 s', () => {
    const { health, pass } = scene()
    health.record(FINE)
    pass(15_000)
    expect([health.started, health.connected, health.ready, health.whyNotReady]).toEqual([true, true, true, undefined])
    pass(1)
    expect([health.started, health.connected, health.ready]).toEqual([false, false, false])
    expect(health.whyNotReady).toBe('sent no report for 15 s')
    health.record({ ...FINE, ready: false, whyNotReady: 'it is stalled' })
    expect([health.connected, health.ready, health.whyNotReady]).toEqual([true, false, 'it is stalled'])
  })

  test('of a process that has ended says nothing of the next one', () => {
    const { health } = scene()
    health.record(FINE)
    health.forget()
    expect([health.connected, health.ready]).toEqual([false, false])
  })
})
