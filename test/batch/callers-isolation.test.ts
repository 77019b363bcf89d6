import type { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { record, type World } from '../support/harness.ts'
import { ALL_CALLBACKS, openBatchWorld, Scene, sweepOf } from './scene.ts'

describe.each(['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'])(
  "in a caller's transaction that is %s",
  (level) => {
    const seesOthers = level === 'READ COMMITTED'
    let world: World
    let client: Client
    beforeAll(async () => {
      world = await openBatchWorld()
      client = await world.database.connect()
    })
    afterAll(() => world.close())

    /** The transaction has seen the database: whatever it sees from now on is from before, if its level says so. */
    const begin = async (): Promise<{ readonly transaction: Client }> => {
      await client.query(`BEGIN ISOLATION LEVEL ${level}`)
      await client.query('SELECT count(*) FROM good_jobs')
      return { transaction: client }
    }
    const finish = (id: string) =>
      world.sql(`UPDATE good_jobs SET finished_at = now() AT TIME ZONE 'UTC' WHERE id = $1`, [id])
    const reopen = (id: string) => world.sql('UPDATE good_jobs SET finished_at = NULL WHERE id = $1', [id])
    const sweep = () => sweepOf(world)

    test('no callback is enqueued for a member that was retried after the transaction began', async () => {
      const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
      await finish(scene.id('only'))
      const transaction = await begin()
      await reopen(scene.id('only'))
      await scene.batch.enqueue([], transaction)
      await client.query('COMMIT')
      expect(await scene.seen()).toMatchObject({ isEnded: false, callbacks: [] })
      await sweep()
      expect(await scene.seen()).toMatchObject({ isEnded: false, callbacks: [] })
    })

    test('a batch whose last member ended after the transaction began completes, at the latest in the next sweep', async () => {
      const scene = await Scene.enqueue(world, { only: { startsIn: 3600 } })
      const left = record('batch_check_left')
      const transaction = await begin()
      await finish(scene.id('only'))
      await scene.batch.enqueue([], transaction)
      await client.query('COMMIT')
      left.stop()
      expect(left.seen).toEqual(seesOthers ? [] : [{ batchId: scene.batch.id, description: null }])
      expect(await scene.seen()).toMatchObject({ isEnded: seesOthers })
      await sweep()
      await sweep()
      expect(await scene.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
    })

    test('batches created in the transaction are checked at once, other batches as the isolation level allows', async () => {
      const old = await Scene.enqueue(world, { only: { startsIn: 3600 } })
      await finish(old.id('only'))
      const left = record('batch_check_left')
      const transaction = await begin()
      const [made] = await Batch.enqueueAll(
        [
          [{ ...ALL_CALLBACKS }, []],
          [old.batch, []],
        ],
        transaction,
      )
      const alone = new Batch({ ...ALL_CALLBACKS }, world.adapter)
      await alone.enqueue([], transaction)
      await client.query('COMMIT')
      left.stop()
      expect(left.seen.map(({ batchId }) => batchId)).toEqual(seesOthers ? [] : [old.batch.id])
      for (const batch of [made, alone]) expect((await batch?.reload())?.jobsFinishedAt).toBeInstanceOf(Date)
      expect(await old.seen()).toMatchObject({ isEnded: seesOthers })
      await sweep()
      expect(await old.seen()).toMatchObject({ isEnded: true, callbacks: ['success', 'finish'] })
    })
  },
)
