import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { SlowChecks } from '../../src/batch/completion/slow-checks.ts'
import type { SweepOptions } from '../../src/batch/completion/sweep.ts'
import { Database } from '../../src/sql/database.ts'
import { record, type World } from '../support/harness.ts'
import { rubyPerform } from './as-ruby.ts'
import { openBatchWorld, Scene, sweepOf } from './scene.ts'

describe('in a sweep', () => {
  let world: World
  beforeAll(async () => {
    world = await openBatchWorld()
  })
  afterAll(() => world.close())
  beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches'))

  const sweep = (options: Partial<SweepOptions> = {}) => sweepOf(world, options)

  /** A batch whose last member ended in a process that died before its bookkeeping. */
  const hung = async (): Promise<Scene> => {
    const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
    await rubyPerform(world, scene.id('only'))
    return scene
  }

  /** While `work` runs, no check of this batch can end. */
  const whileSlow = async (scene: Scene, work: () => Promise<void>): Promise<void> => {
    await world.sql(
      'CREATE FUNCTION be_slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$',
    )
    await world.sql(
      `CREATE TRIGGER be_slow BEFORE UPDATE ON good_job_batches FOR EACH ROW WHEN (OLD.id = '${scene.batch.id}') EXECUTE FUNCTION be_slow()`,
    )
    try {
      await work()
    } finally {
      await world.sql('DROP FUNCTION be_slow CASCADE')
    }
  }

  test('a batch whose check takes too long is reported by its id and postponed; the sweep completes the others', async () => {
    const [healthy, slow] = [await hung(), await hung()]
    const errors = record('worker_error')
    await whileSlow(slow, async () => {
      const options = { slow: new SlowChecks(), checkTimeoutMs: 200 }
      expect(await sweep(options)).toMatchObject({ checked: 2, healed: 1, isDone: true })
      // Postponed: the next sweep skips it.
      expect(await sweep(options)).toMatchObject({ healed: 0, isDone: true })
    })
    errors.stop()
    expect(errors.seen).toMatchObject([{ part: `batch sweep, batch ${slow.batch.id}`, error: { code: '57014' } }])
    expect(await healthy.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
    expect(await sweep()).toMatchObject({ healed: 1 })
    expect(await slow.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
  })

  test('Postgres cancels a slow check before the pool abandons its connection', async () => {
    const [healthy, slow] = [await hung(), await hung()]
    const { host, port, database, user, password } = new pg.Client({ connectionString: world.database.url })
    const pool = new pg.Pool({ host, port, database, user, password, query_timeout: 2_000 } as pg.PoolConfig)
    const errors = record('worker_error')
    await whileSlow(slow, async () => {
      expect(await sweep({ database: new Database({ pool }) })).toMatchObject({ healed: 1, isDone: true })
    })
    errors.stop()
    await pool.end()
    expect(errors.seen).toMatchObject([{ part: `batch sweep, batch ${slow.batch.id}`, error: { code: '57014' } }])
    expect(await healthy.seen()).toMatchObject({ isEnded: true })
  })
})

describe('the list of postponed batches', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  const MINUTE_MS = 60_000

  test('postpones a slow batch for a pause that doubles up to one hour, until a check succeeds', () => {
    const slow = new SlowChecks()
    const pauses: number[] = []
    for (let time = 0; time < 7; time += 1) {
      slow.putOff('a')
      let minutes = 0
      for (; slow.isPutOff('a'); minutes += 1) vi.advanceTimersByTime(MINUTE_MS)
      pauses.push(minutes)
    }
    expect(pauses).toEqual([2, 4, 8, 16, 32, 60, 60])
    slow.forget('a')
    slow.putOff('a')
    vi.advanceTimersByTime(2 * MINUTE_MS)
    expect(slow.isPutOff('a')).toBe(false)
    expect(slow.isPutOff('b')).toBe(false)
  })

  test('holds at most ten thousand batches', () => {
    const slow = new SlowChecks()
    for (let number = 0; number <= 10_000; number += 1) slow.putOff(String(number))
    expect(slow.isPutOff('0')).toBe(false)
    expect(slow.isPutOff('1')).toBe(true)
  })
})
