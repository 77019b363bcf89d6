import { after, sleep } from '../../time.ts'
import type { Queryable } from './queryable.ts'

/**
 * One connection to Postgres, as a session needs it: a client of pg, or a client that lives in a thread. It is opened once and ended
 * once. A query rejects if no response arrives within the query timeout of its configuration.
 */
export interface Connection extends Queryable {
  /** The server process, as the server reports it at the start; null before the connection is open. */
  readonly processID: number | null
  connect(): Promise<void>
  /** Says goodbye to the server. `endConnection` also ends a connection whose server does not respond. */
  end(): Promise<void>
  /** Drops the connection immediately, whatever it is doing. */
  drop(): void
  /** Calls `listener` when the connection is lost or ended. The first call has the reason, if it is known; a second call is possible. */
  onLost(listener: (error: Error | undefined) => void): void
}

/** Drops the connection as soon as `signal` fires; call the returned function to stop that. */
export const dropOnAbort = (connection: Connection, signal: AbortSignal | undefined): (() => void) => {
  const drop = () => connection.drop()
  if (signal?.aborted) drop()
  signal?.addEventListener('abort', drop, { once: true })
  return () => signal?.removeEventListener('abort', drop)
}

/** A live server ends a connection at once. */
const GOODBYE_MS = 2_000

/** Ends a connection, even if its server no longer responds; never rejects. */
export const endConnection = async (connection: Connection): Promise<void> => {
  const isOver = new AbortController()
  const ended = connection.end().then(
    () => isOver.abort(),
    () => isOver.abort(),
  )
  await Promise.race([ended, sleep(GOODBYE_MS, isOver.signal)])
  if (!isOver.signal.aborted) connection.drop()
}

/** A timer that is later than this was delayed by a blocked process; its time limit proves nothing. */
const STANDSTILL_MS = 500

/** Rejects if no response arrives within `limitMs` while the process runs. A process that was blocked must read its sockets first. */
export const inTime = <T>(answer: Promise<T>, limitMs: number): Promise<T> => {
  if (!Number.isFinite(limitMs)) return answer
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout
    const arm = () => {
      const dueAt = performance.now() + limitMs
      timer = after(limitMs, () => {
        if (performance.now() - dueAt > STANDSTILL_MS) arm()
        else reject(Object.assign(new Error(`no answer within ${limitMs / 1000} s`), { code: 'ETIMEDOUT' }))
      })
    }
    arm()
    answer.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
