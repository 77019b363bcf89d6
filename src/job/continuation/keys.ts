import { SerializationError } from '../../errors.ts'
import { serializeArguments } from '../../serialize/arguments/arguments.ts'
import type { JsonObject, JsonValue } from '../../serialize/json.ts'
import type { RailsVersion } from '../../serialize/rails-version.ts'
import { RubyFloat } from '../../serialize/values/ruby-values.ts'
import type { Job } from '../base.ts'
import { STATE } from '../state.ts'

/** The two keys that a continuable class adds to the job hash. */
export const continuationKeys = (job: Job, railsVersion: RailsVersion): JsonObject => {
  const { continuation, extra } = job[STATE]
  if (!continuation) return { continuation: { completed: [] }, resumptions: 0, ...extra }
  const { completed, current, resumptions } = continuation
  const progress: JsonObject = { completed: [...completed] }
  if (current) progress.current = [current.name, serializeCursor(current.cursor, railsVersion)]
  return { continuation: progress, resumptions }
}

/**
 * A cursor as JSON. Rails 8.1 stores the value itself, so only values that JSON preserves are allowed: null, booleans, numbers, strings and
 * arrays of them. Rails main serializes it like an argument. Throws SerializationError.
 */
export const serializeCursor = (cursor: unknown, railsVersion: RailsVersion): JsonValue => {
  const [json = null] = serializeArguments([cursor], { railsVersion })
  if (railsVersion !== 'main') assertPlain(cursor)
  return json
}

const assertPlain = (cursor: unknown): void => {
  if (Array.isArray(cursor)) {
    for (const element of cursor) assertPlain(element)
    return
  }
  if (cursor === null || typeof cursor !== 'object' || cursor instanceof RubyFloat) return
  throw new SerializationError(
    `A cursor must be null, a boolean, number, string or an array of them, got ${cursor.constructor?.name ?? 'an object'}`,
  )
}
