import { ConfigurationError } from '../../errors.ts'

/** Computes the seconds before the next run from the number of failures so far; null or undefined keeps the schedule. */
export type WaitFunction = (executions: number, error: Error) => number | null | undefined

/** `exponentially_longer` is the older name of `polynomially_longer` (Rails 6.0 to 7.1), with the same formula. */
export type Wait = number | 'polynomially_longer' | 'exponentially_longer' | WaitFunction

/** Throws ConfigurationError for an invalid wait. It is called when the class is loaded, not when a job fails. */
export const validateWait = (wait: unknown): void => {
  if (typeof wait === 'function' || wait === 'polynomially_longer' || wait === 'exponentially_longer') return
  if (typeof wait === 'number' && Number.isFinite(wait)) return
  throw new ConfigurationError(
    `retryOn: wait must be a number of seconds, 'polynomially_longer' or a function, got ${String(wait)}`,
  )
}

/**
 * Seconds to wait before the next run. Active Job 8.1 exceptions.rb#determine_delay: jitter is added to numbers and to the polynomial
 * (without its + 2), but never to the result of a function.
 */
export const delaySeconds = (
  wait: Wait,
  { executions, error, jitter }: { executions: number; error: Error; jitter: number },
): number | null => {
  if (typeof wait === 'function') return wait(executions, error) ?? null
  const base = typeof wait === 'number' ? wait : executions ** 4
  const delay = base + Math.random() * base * jitter
  return typeof wait === 'number' ? delay : delay + 2
}
