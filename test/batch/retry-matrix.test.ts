import { describe, expect, test } from 'vitest'
import { rubyRetry } from './as-ruby.ts'
import { batchWorld, CallbackJob, Gate, type Run, Scene } from './scene.ts'

const RETRIES = {
  'the adapter': (scene: Scene, names: readonly string[]) =>
    each(names, (name) => scene.world.adapter.retryJob(scene.id(name))),
  'the batch': (scene: Scene) => scene.batch.retry(),
  'the dashboard': (scene: Scene, names: readonly string[]) =>
    each(names, (name) => rubyRetry(scene.world, scene.id(name))),
} as const

const each = async (names: readonly string[], action: (name: string) => Promise<unknown>): Promise<void> => {
  for (const name of names) await action(name)
}

const SITUATIONS = ['others still run', 'the batch is finished', 'callbacks are open'] as const

interface Case {
  readonly retrier: keyof typeof RETRIES
  readonly situation: (typeof SITUATIONS)[number]
  readonly broken: 1 | 2
  readonly failsAgain: boolean
}

const CASES: readonly Case[] = (Object.keys(RETRIES) as (keyof typeof RETRIES)[]).flatMap((retrier) =>
  SITUATIONS.flatMap((situation) =>
    ([1, 2] as const).flatMap((broken) =>
      [false, true].map((failsAgain) => ({ retrier, situation, broken, failsAgain })),
    ),
  ),
)

/** After a retry of the batch its on_discard and on_finish may fire again; after a retry of a single job they do not. */
const expectedCallbacks = ({ retrier, situation, failsAgain }: Case): string[] => {
  const armings = retrier === 'the batch' ? (failsAgain ? 3 : 2) : 1
  const discards = retrier === 'the batch' ? armings - 1 : 1
  const finishes = situation === 'others still run' ? 1 : armings
  return [
    ...Array.from({ length: discards }, () => 'discard'),
    ...Array.from({ length: finishes }, () => 'finish'),
    'success',
  ]
}

for (const hasJobsFinishedAt of [true, false]) {
  describe(`with${hasJobsFinishedAt ? '' : 'out'} the column jobs_finished_at`, () => {
    const world = batchWorld({ hasJobsFinishedAt, worker: { threads: 20 } })

    for (const one of CASES) {
      const { retrier, situation, broken, failsAgain } = one
      const members = broken === 1 ? 'the discarded job' : 'two discarded jobs'
      const course = failsAgain ? 'fails again, then succeeds' : 'succeeds'
      test(`${retrier} retries ${members} while ${situation}, which ${course}: the batch recovers once`, async () => {
        const names = broken === 1 ? ['bad'] : ['bad', 'worse']
        const [start, slow, callbacks] = [new Gate(), new Gate(), new Gate()]
        const fails: readonly Run[] = [{ gate: start, ends: 'fail' }]
        const scene = await Scene.enqueue(world, {
          good: [],
          ...Object.fromEntries(names.map((name) => [name, fails])),
          ...(situation === 'others still run' ? { slow: [{ gate: slow, ends: 'ok' } as const] } : {}),
        })
        if (situation === 'callbacks are open') CallbackJob.gates.set(scene.batch.id, callbacks)
        start.open()
        if (situation === 'the batch is finished') await scene.settled()
        else for (const name of [...names, 'good']) await scene.ended(name)
        expect(await scene.seen()).toMatchObject({ isDiscarded: true, isEnded: situation !== 'others still run' })

        scene.let('bad', ...(failsAgain ? (['fail', 'ok'] as const) : []))
        await RETRIES[retrier](scene, names)
        for (const name of names) await scene.ended(name)
        if (failsAgain) {
          expect(await scene.seen()).toMatchObject({ isDiscarded: true })
          await RETRIES[retrier](scene, ['bad'])
          await scene.ended('bad')
        }
        slow.open()
        callbacks.open()
        const seen = await scene.settled()
        expect(seen).toMatchObject({ isDiscarded: false, isEnded: true, isFinished: true })
        expect(seen.callbacks.toSorted()).toEqual(expectedCallbacks(one))
      })
    }
  })
}
