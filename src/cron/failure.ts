import type { CronPart } from '../schedule/events.ts'

/** An error of one part of an entry; `cause` is what was thrown. */
export class CronPartError extends Error {
  readonly part: CronPart

  constructor(part: CronPart, cause: unknown) {
    super(`${part} failed`, { cause })
    this.part = part
  }
}

/** Runs `work`; an error of it becomes an error of this part. */
export const inPart = async <T>(part: CronPart, work: () => T | Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    throw error instanceof CronPartError ? error : new CronPartError(part, error)
  }
}

/** The part and the original error of whatever an occurrence threw. */
export const partOf = (error: unknown): { readonly part: CronPart; readonly error: unknown } =>
  error instanceof CronPartError ? { part: error.part, error: error.cause } : { part: 'enqueue', error }
