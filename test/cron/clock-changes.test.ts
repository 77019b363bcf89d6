import { readFileSync } from 'node:fs'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { openWorld, until } from '../support/harness.ts'
import { instantsOf, Scene } from './scene.ts'

interface Change {
  readonly zone: string
  readonly cron: string
  readonly from: string
  readonly to: string
  readonly instants: readonly string[]
}

const { cases } = JSON.parse(readFileSync(new URL('../vectors/cron-clock-changes.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly Change[]
}

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs'))

const QUARTER_MS = 900_000
const LATE_MS = 5

test.each(cases)(
  '$zone, $cron from $from: the instants are those of Ruby',
  async ({ zone, cron, from, to, instants }) => {
    const entries = {
      tested: { cron, class: 'Ruby::TestedJob' },
      ticker: { cron: '*/15 * * * * UTC', class: 'Ruby::TickerJob' },
    }
    await using scene = new Scene(world, entries, { zone, at: from }).start()
    const due = new Set(instants)
    for (let at = Date.parse(from) + QUARTER_MS; at <= Date.parse(to); at += QUARTER_MS) {
      const iso = new Date(at).toISOString()
      await scene.set(at + LATE_MS)
      await scene.until(`ticker enqueued ${iso.slice(11, 19)}`)
      if (due.has(iso.replace('.000Z', 'Z'))) await scene.until(`tested enqueued ${iso.slice(11, 19)}`)
    }
    await scene.manager.stop()
    expect(await instantsOf(world, 'tested')).toEqual(instants)
  },
)

test('where Ruby raises, the skipped occurrence is reported and the entry goes on', async () => {
  const entries = { tested: { cron: '0 0 15 * *', class: 'Ruby::TestedJob' } }
  await using scene = new Scene(world, entries, { zone: 'America/Havana', at: '2026-09-20T12:00:00Z' }).start()
  await scene.until('tested clock_change')
  await scene.reach('2026-11-15T05:00:00Z', 'tested enqueued 05:00:00')
  await scene.set('2026-12-15T05:00:00Z')
  await until(async () => (await instantsOf(world, 'tested')).length === 2, 'the next occurrence has a job')
  expect(await instantsOf(world, 'tested')).toEqual(['2026-11-15T05:00:00Z', '2026-12-15T05:00:00Z'])
  expect(scene.seen.filter((line) => line === 'tested clock_change')).toHaveLength(1)
})
