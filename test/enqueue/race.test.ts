import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { afterAll, expect, test } from 'vitest'
import { inTurn } from '../support/clean-up.ts'
import { openWorld } from '../support/harness.ts'

/** Set `RACE_ROUNDS=10000` for a manual run. */
const ROUNDS = Number(process.env.RACE_ROUNDS ?? 30)
const COPIES = 3

const world = await openWorld()
const racers: ChildProcess[] = []
afterAll(
  inTurn(
    () => inTurn(...racers.map((racer) => () => end(racer)))(),
    () => world.close(),
  ),
)

const start = async (): Promise<ChildProcess> => {
  const racer = fork(new URL('../fixtures/racer.mjs', import.meta.url), {
    env: { ...process.env, DATABASE_URL: world.url },
  })
  racers.push(racer)
  await once(racer, 'message')
  return racer
}

const end = async (racer: ChildProcess): Promise<void> => {
  if (racer.exitCode !== null) return
  const ended = once(racer, 'exit')
  racer.disconnect()
  await ended
}

test(`two processes that enqueue at once with totalLimit 1 store one job each time, ${ROUNDS} times`, async () => {
  const both = [await start(), await start()]
  for (let round = 0; round < ROUNDS; round++) {
    const key = `round-${round}`
    const replies = both.map((racer) => once(racer, 'message'))
    for (const racer of both) racer.send({ key, copies: COPIES })
    const stored = (await Promise.all(replies)).map(([reply]) => (reply as { stored: number }).stored)
    expect(
      stored.reduce((sum, count) => sum + count, 0),
      key,
    ).toBe(1)
  }
  const keys = await world.sql('SELECT count(*)::int AS jobs FROM good_jobs GROUP BY concurrency_key')
  expect(keys).toEqual(Array.from({ length: ROUNDS }, () => ({ jobs: 1 })))
}, 1_200_000)
