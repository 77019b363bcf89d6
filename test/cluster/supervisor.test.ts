import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type ReadySubprocess, Supervisor, type SupervisorOptions } from '../../src/cluster/supervisor.ts'
import { type EventMap, type EventName, events } from '../../src/events.ts'
import type { Clock } from '../../src/time.ts'
import { inTurn } from '../support/clean-up.ts'
import { until } from '../support/harness.ts'

const PROGRAM = join(import.meta.dirname, '../fixtures/subprocess.mjs')
const FIRST = 0

/** A supervisor of real processes that do what their behaviour says, by number and by how often that number was started. */
class Scene {
  readonly children: ChildProcess[][] = []
  readonly refusals: string[] = []
  readonly ended: Promise<number>
  readonly supervisor: Supervisor
  readonly ready: Promise<readonly ReadySubprocess[]>

  constructor(behaviours: readonly (string | readonly string[])[], options: Partial<SupervisorOptions> = {}) {
    let announce: (subprocesses: readonly ReadySubprocess[]) => void = () => {}
    this.ready = new Promise((resolve) => {
      announce = resolve
    })
    this.supervisor = new Supervisor({
      subprocesses: behaviours.length,
      fork: (index) => this.#fork(index, behaviours[index] ?? []),
      beforeFork: async () => undefined,
      shutdownTimeoutMs: Number.POSITIVE_INFINITY,
      onReady: (subprocesses) => announce(subprocesses),
      onStopping: () => undefined,
      onRefused: ({ text }) => this.refusals.push(text),
      ...options,
    })
    this.ended = this.supervisor.run()
  }

  child(index: number): ChildProcess {
    const child = this.children[index]?.at(-1)
    if (child === undefined) throw new Error(`no subprocess ${index}`)
    return child
  }

  #fork(index: number, behaviour: string | readonly string[]): ChildProcess {
    const before = this.children[index] ?? []
    this.children[index] = before
    const now = typeof behaviour === 'string' ? behaviour : (behaviour[before.length] ?? behaviour.at(-1) ?? '')
    // Not the loader of the tests, with which a process starts slowly.
    const child = fork(PROGRAM, [now], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    before.push(child)
    return child
  }
}

const scenes: Scene[] = []
const open = (...given: ConstructorParameters<typeof Scene>): Scene => {
  const scene = new Scene(...given)
  scenes.push(scene)
  return scene
}
afterEach(
  inTurn(async () => {
    for (const scene of scenes.splice(0)) {
      scene.supervisor.kill()
      await scene.ended
    }
  }),
)

/** The payloads of an event about subprocesses of this scene, from now on. */
const heard = <N extends EventName>(name: N): EventMap[N][] => {
  const seen: EventMap[N][] = []
  const listener = (payload: EventMap[N]) => void seen.push(payload)
  events.on(name, listener)
  listeners.push(() => events.off(name, listener))
  return seen
}
const listeners: (() => void)[] = []
afterEach(inTurn(() => listeners.splice(0).map((end) => end())))

describe('a supervisor', () => {
  test('announces its subprocesses once, when all of them work', async () => {
    const { ready, supervisor } = open(['works', 'chats'])
    const announced = await ready
    expect(announced.map(({ index, jobClasses }) => [index, jobClasses])).toEqual([
      [0, ['EchoJob']],
      [1, ['EchoJob']],
    ])
    expect(announced.map(({ pid }) => `${pid}`)).toEqual(announced.map(({ processId }) => processId))
    await until(async () => supervisor.health.ready(), 'both are ready')
    expect([supervisor.health.started(), supervisor.health.connected(), supervisor.health.whyNotReady?.()]).toEqual([
      true,
      true,
      undefined,
    ])
  })

  test('replaces a killed subprocess at once, under the same number, and the other one continues', async () => {
    const spawned = heard('cluster_spawn')
    const reaped = heard('cluster_reap')
    const scene = open(['works', 'works'])
    await scene.ready
    const [kept, killed] = [scene.child(0), scene.child(1)]
    killed.kill('SIGKILL')
    await until(async () => spawned.length === 3, 'the replacement')
    expect(reaped).toEqual([{ subprocessPid: killed.pid, index: 1, status: null, signal: 'SIGKILL' }])
    expect(spawned[2]).toEqual({ subprocessPid: scene.child(1).pid, index: 1 })
    expect(scene.child(0)).toBe(kept)
    await until(async () => scene.supervisor.health.ready(), 'both are ready again')
  })

  test('is not ready while a replacement has not reported, whatever the one before it reported', async () => {
    const scene = open([['works', 'boots']])
    await scene.ready
    await until(async () => scene.supervisor.health.ready(), 'the first one is ready')
    scene.child(0).kill('SIGKILL')
    await until(async () => scene.children[FIRST]?.length === 2, 'the replacement')
    expect([scene.supervisor.health.started(), scene.supervisor.health.connected()]).toEqual([true, false])
    expect(scene.supervisor.health.whyNotReady?.()).toBe('subprocess 0 has not started yet')
  })

  test('waits longer before each subprocess that fails to start, and does not spin', async () => {
    const waits = heard('cluster_backoff')
    const scene = open(['fails'])
    await until(async () => waits.length === 2, 'two waits')
    expect(waits).toEqual([
      { index: 0, restartCount: 2, delay: 1 },
      { index: 0, restartCount: 3, delay: 2 },
    ])
    expect(scene.children[FIRST]).toHaveLength(3)
    expect(scene.supervisor.health.started()).toBe(false)
    expect(scene.supervisor.health.whyNotReady?.()).toBe('subprocess 0 does not run')
    scene.supervisor.stop()
    expect(await scene.ended).toBe(1)
  })

  test('ends with the code and the text of a subprocess whose start was refused, and the others drain', async () => {
    const scene = open(['works', 'refuses'])
    expect(await scene.ended).toBe(2)
    expect(scene.refusals).toEqual(['error: no such module\n'])
    expect(scene.children.map(({ length }) => length)).toEqual([1, 1])
  })

  test('ends also when a replacement is refused', async () => {
    const scene = open([['works', 'refuses'], 'works'])
    await scene.ready
    scene.child(0).kill('SIGKILL')
    expect(await scene.ended).toBe(2)
  })
})

describe('a supervisor that is asked to stop', () => {
  test.each<[string, string[], number]>([
    ['0 when all subprocesses end with 0', ['works', 'works'], 0],
    ['1 when a subprocess ends with 1', ['works', 'fails-at-the-end'], 1],
    ['0 when a subprocess was still starting', ['boots', 'works'], 0],
  ])('exits with %s', async (_what, behaviours, code) => {
    const shutdowns = heard('cluster_shutdown')
    const scene = open(behaviours)
    await until(async () => scene.children.flat().length === 2, 'both are forked')
    if (!behaviours.includes('boots')) await scene.ready
    else await until(async () => scene.supervisor.health.started(), 'both run')
    scene.supervisor.stop()
    expect(scene.supervisor.health.started()).toBe(false)
    expect(await scene.ended).toBe(code)
    expect(shutdowns).toEqual([{ subprocesses: 2 }])
    expect(scene.children.map(({ length }) => length)).toEqual([1, 1])
  })

  test('before a fork does not fork any more', async () => {
    let fork = () => {}
    const beforeFork = () =>
      new Promise<void>((resolve) => {
        fork = resolve
      })
    const scene = open(['works'], { beforeFork })
    scene.supervisor.stop()
    fork()
    expect(await scene.ended).toBe(0)
    await new Promise((resolve) => setImmediate(resolve))
    expect(scene.children.flat()).toEqual([])
  })

  test('kills a subprocess that does not end within the timeout and five seconds, and exits with 1', async () => {
    const reaped = heard('cluster_reap')
    const scene = open(['ignores', 'works'], { shutdownTimeoutMs: 100 })
    await scene.ready
    const since = performance.now()
    scene.supervisor.stop()
    expect(await scene.ended).toBe(1)
    expect(performance.now() - since).toBeGreaterThanOrEqual(5_050)
    expect(reaped).toEqual([
      { subprocessPid: scene.child(1).pid, index: 1, status: 0, signal: null },
      { subprocessPid: scene.child(0).pid, index: 0, status: null, signal: 'SIGKILL' },
    ])
  })

  test('kills a stopped subprocess with a timeout of 0', async () => {
    const scene = open(['works'], { shutdownTimeoutMs: 0 })
    await scene.ready
    scene.child(0).kill('SIGSTOP')
    scene.supervisor.stop()
    expect(await scene.ended).toBe(1)
    expect(scene.child(0).signalCode).toBe('SIGKILL')
  })

  test('without a timeout waits; asked again, it lets the subprocesses abort their jobs', async () => {
    const scene = open(['aborts'])
    await scene.ready
    scene.supervisor.stop()
    scene.supervisor.stop()
    expect(await scene.ended).toBe(0)
  })

  test('asked again, it kills a subprocess that does not abort', async () => {
    const scene = open(['ignores'])
    await scene.ready
    scene.supervisor.stop()
    scene.supervisor.stop()
    expect(await scene.ended).toBe(1)
    expect(scene.child(0).signalCode).toBe('SIGKILL')
  })

  test('at once kills every subprocess, exits with 0, and replaces none', async () => {
    const scene = open(['ignores', 'works'])
    await scene.ready
    scene.supervisor.kill()
    expect(await scene.ended).toBe(0)
    expect(scene.children.flat().map(({ signalCode }) => signalCode)).toEqual(['SIGKILL', 'SIGKILL'])
  })
})

test('a stopped subprocess is not replaced; after 15 s without a report the supervisor is not connected', async () => {
  let now = 0
  const clock: Clock = { monotonic: () => now, now: () => new Date(), timestamp: () => '' }
  const scene = open(['works', 'works'], { clock })
  await scene.ready
  const { health } = scene.supervisor
  await until(async () => health.ready(), 'both are ready')
  scene.child(1).kill('SIGSTOP')
  now += 15_000
  expect([health.started(), health.connected(), health.ready()]).toEqual([true, true, true])
  now += 1
  expect([health.started(), health.connected(), health.ready()]).toEqual([true, false, false])
  expect(health.whyNotReady?.()).toBe('subprocess 0 sent no report for 15 s')
  expect(scene.children.map(({ length }) => length)).toEqual([1, 1])
})

test('the function before a fork is awaited before each fork, also before that of a replacement', async () => {
  const calls: number[] = []
  const scene: Scene = open(['works', 'works'], {
    beforeFork: async (index) => {
      await new Promise((resolve) => setImmediate(resolve))
      expect(scene.children[index]?.length ?? 0).toBe(calls.filter((each) => each === index).length)
      calls.push(index)
    },
  })
  await scene.ready
  scene.child(0).kill('SIGKILL')
  await until(async () => calls.length === 3, 'the replacement')
  expect(calls).toEqual([0, 1, 0])
})
