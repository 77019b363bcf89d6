import type pg from 'pg'
import { sleep } from '../time.ts'

/** A server that is there answers the goodbye at once. */
const GOODBYE_MS = 2_000

/** Ends a connection, also one that nobody answers on any more; never rejects. */
export const endClient = async (client: pg.Client): Promise<void> => {
  const isOver = new AbortController()
  const ended = client.end().then(
    () => isOver.abort(),
    () => isOver.abort(),
  )
  await Promise.race([ended, sleep(GOODBYE_MS, isOver.signal)])
  if (!isOver.signal.aborted) client.connection.stream.destroy()
}
