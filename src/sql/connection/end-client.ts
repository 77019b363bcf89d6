import type pg from 'pg'
import { sleep } from '../../time.ts'

/** Drops the connection, whatever it is doing, as soon as `signal` fires; call the returned function to stop that. */
export const dropOnAbort = (client: pg.Client, signal: AbortSignal | undefined): (() => void) => {
  const drop = () => void client.connection.stream.destroy()
  if (signal?.aborted) drop()
  signal?.addEventListener('abort', drop, { once: true })
  return () => signal?.removeEventListener('abort', drop)
}

/** A live server ends a connection at once. */
const GOODBYE_MS = 2_000

/** Ends a connection, even if its server no longer responds; never rejects. */
export const endClient = async (client: pg.Client): Promise<void> => {
  const isOver = new AbortController()
  const ended = client.end().then(
    () => isOver.abort(),
    () => isOver.abort(),
  )
  await Promise.race([ended, sleep(GOODBYE_MS, isOver.signal)])
  if (!isOver.signal.aborted) client.connection.stream.destroy()
}
