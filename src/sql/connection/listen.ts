import pg from 'pg'
import type { Queryable } from './queryable.ts'

const CHANNEL = 'good_job'

/** A client that receives notifications as soon as it listens. */
export const listeningClient = (config: pg.ClientConfig, onPayload: (payload: string) => void): pg.Client => {
  const client = new pg.Client(config)
  client.on('notification', ({ channel, payload = '' }) => {
    if (channel === CHANNEL) onPayload(payload)
  })
  return client
}

/** Starts to receive GoodJob's notifications. */
export const listen = async (db: Queryable): Promise<void> => {
  await db.query({ text: 'LISTEN good_job' })
}
