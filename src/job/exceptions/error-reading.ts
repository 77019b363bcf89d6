import { types } from 'node:util'

/** Whether this is an error object, including one of another realm (vm, worker). */
export const isError = (value: unknown): value is Error => {
  try {
    return value instanceof Error || types.isNativeError(value)
  } catch {
    return false // A proxy trap threw.
  }
}

/** Whether the error has a `name` of its own, other than that of its class. */
export const hasOwnName = (error: object): boolean => {
  try {
    return Object.hasOwn(error, 'name')
  } catch {
    return false
  }
}

/** Reads a string from a user's object; undefined if the value is no string, or if reading it throws. */
export const readString = (read: () => unknown): string | undefined => {
  try {
    const value = read()
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined // A getter or a proxy trap threw; the job's failure must still be recorded.
  }
}
