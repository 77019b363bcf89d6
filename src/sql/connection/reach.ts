import type { Deadline } from '../../deadline.ts'
import { ConnectionTimeoutError, isRetryable, sqlState } from '../../errors.ts'
import { backoffMs, sleep } from '../../time.ts'

export interface ReachOptions {
  readonly deadline: Deadline
  /** The timeout that set the deadline, for the error text. */
  readonly timeoutMs: number
  readonly onRetry: (error: unknown, attempt: number) => void
  readonly signal: AbortSignal
}

/**
 * Calls `ask` with backoff until it succeeds. The deadline also ends the wait for an attempt that is under way. That attempt
 * continues in the background, and the caller has to close its connection.
 * @throws ConnectionTimeoutError at the deadline; the signal's reason if the signal fires; any error that another attempt cannot
 * fix
 */
export const reach = async (
  ask: () => Promise<unknown>,
  { deadline, timeoutMs, onRetry, signal }: ReachOptions,
): Promise<void> => {
  let last: unknown
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      if (await deadline.allows(ask(), { signal })) return
      signal.throwIfAborted()
      throw timedOut(timeoutMs, last)
    } catch (error) {
      if (signal.aborted || !mayPass(error)) throw error
      if (deadline.leftMs === 0) throw timedOut(timeoutMs, error)
      last = error
      onRetry(error, attempt)
      await sleep(Math.min(backoffMs(attempt), deadline.leftMs), signal)
    }
  }
}

/** A host name that the resolver does not know, by the error's code, and the way out. */
export const UNKNOWN_HOST: Readonly<Record<string, string>> = {
  ENOTFOUND: 'The name of the host cannot be resolved: check it in DATABASE_URL.',
  EAI_AGAIN: 'The name of the host cannot be resolved: check it in DATABASE_URL, and the DNS of this machine.',
}

const codeOf = (error: unknown): string =>
  error instanceof AggregateError ? codeOf(error.errors[0]) : String((error as NodeJS.ErrnoException | undefined)?.code)

/** PgBouncer has no other code for a server that it cannot reach; the error text at the deadline explains it. */
const PROTOCOL_VIOLATION = '08P01'

/** Whether another attempt to reach the server may succeed where this one failed. */
export const mayPass = (error: unknown): boolean => isRetryable(error) || sqlState(error) === PROTOCOL_VIOLATION

const timedOut = (timeoutMs: number, cause: unknown): ConnectionTimeoutError =>
  new ConnectionTimeoutError(
    `Postgres did not answer within ${timeoutMs / 1000} s: ${reason(cause)}. ${UNKNOWN_HOST[codeOf(cause)] ?? 'Start it, or check DATABASE_URL.'}`,
    { cause },
  )

const reason = (error: unknown): string => {
  if (error === undefined) return 'a connection or a statement is still without an answer'
  if (error instanceof AggregateError) return error.errors.map(reason).join('; ')
  return error instanceof Error ? error.message : String(error)
}
