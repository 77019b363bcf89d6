import { types } from 'node:util'

/** Whether this is an error object, also one of another realm (vm, worker). */
export const isError = (value: unknown): value is Error => {
  try {
    return value instanceof Error || types.isNativeError(value)
  } catch {
    return false // A proxy trap threw.
  }
}

/** Whether an error has a name that is not its class's. */
export const hasOwnName = (error: object): boolean => {
  try {
    return Object.hasOwn(error, 'name')
  } catch {
    return false
  }
}

/** A string that a user's object answers; undefined when it answers something else, or throws. */
export const readString = (read: () => unknown): string | undefined => {
  try {
    const value = read()
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined // A getter or a proxy trap threw; the job's failure must still be recorded.
  }
}
