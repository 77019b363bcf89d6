import type { PoolClient } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openWorld, type World } from '../support/harness.ts'

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** Lets the server end this connection; resolves when the client knows. */
const lose = async (client: PoolClient): Promise<void> => {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  // Not events.once: that would listen to the error, too.
  const ended = new Promise((resolve) => client.once('end', resolve))
  await world.sql('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
  await ended
}

test('a connection lost between two statements is an error of the next one, and not the end of the process', async () => {
  const work = world.adapter.database.connection(async (client) => {
    await lose(client)
    return client.query('SELECT 1')
  })
  await expect(work).rejects.toThrow(/not queryable/)
})

test('a connection that was lost is not lent again, also when its borrower did not notice', async () => {
  const { database } = world.adapter
  await database.connection(lose)
  await expect(database.connection((client) => client.query('SELECT 1'))).resolves.toMatchObject({ rowCount: 1 })
})
