import pg from 'pg'
import { NODE_CHANNEL } from '../concurrency/freed-message.ts'
import { PgConnection } from './pg-connection.ts'
import type { Queryable } from './queryable.ts'

const CHANNEL = 'good_job'

/** What receives the payloads of a listening connection. */
export interface PayloadReceivers {
  /** A message of GoodJob. */
  readonly onPayload: (payload: string) => void
  /** A message of another worker in Node. */
  readonly onNodePayload: (payload: string) => void
}

/** Creates a connection that receives notifications as soon as it listens. */
export const listeningConnection = (
  config: pg.ClientConfig,
  { onPayload, onNodePayload }: PayloadReceivers,
): PgConnection => {
  const client = new pg.Client(config)
  client.on('notification', ({ channel, payload = '' }) => {
    if (channel === CHANNEL) onPayload(payload)
    else if (channel === NODE_CHANNEL) onNodePayload(payload)
  })
  return new PgConnection(client)
}

/** Starts to receive the notifications of GoodJob, and those of other workers in Node. */
export const listen = async (db: Queryable): Promise<void> => {
  await db.query({ text: `LISTEN ${CHANNEL}; LISTEN ${NODE_CHANNEL}` })
}
