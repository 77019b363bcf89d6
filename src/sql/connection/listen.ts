import pg from 'pg'
import { PgConnection } from './pg-connection.ts'
import type { Queryable } from './queryable.ts'

const CHANNEL = 'good_job'

/** Creates a connection that receives notifications as soon as it listens. */
export const listeningConnection = (config: pg.ClientConfig, onPayload: (payload: string) => void): PgConnection => {
  const client = new pg.Client(config)
  client.on('notification', ({ channel, payload = '' }) => {
    if (channel === CHANNEL) onPayload(payload)
  })
  return new PgConnection(client)
}

/** Starts to receive GoodJob's notifications. */
export const listen = async (db: Queryable): Promise<void> => {
  await db.query({ text: 'LISTEN good_job' })
}
