import { randomUUID } from 'node:crypto'
import type { Client, Pool } from 'pg'
import type { TestDatabase } from './postgres.ts'

/** The payloads on the channel good_job during `work`, in the order of commits; a fence message ends the recording. */
export const messagesDuring = async (database: TestDatabase, work: () => Promise<unknown>): Promise<string[]> => {
  const listener = await database.connect()
  const seen: string[] = []
  const fence = `fence ${randomUUID()}`
  const over = new Promise<void>((resolve) => {
    listener.on('notification', ({ payload = '' }) => {
      if (payload === fence) resolve()
      else seen.push(payload)
    })
  })
  await listener.query('LISTEN good_job')
  await work()
  await sendMessage(listener, fence)
  await over
  await listener.end()
  return seen
}

/** Sends a message on the channel good_job. */
export const sendMessage = async (client: Pick<Client, 'query'> | Pool, payload: string): Promise<void> => {
  await (client as Client).query(`SELECT pg_notify('good_job', $1)`, [payload])
}
