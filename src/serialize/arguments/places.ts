import { SerializationError } from '../../errors.ts'

/** The value that caused an error, kept apart from the error: loggers would write a property of the error. */
const offenders = new WeakMap<SerializationError, unknown>()

/** Creates an error about one value. Its place among the arguments is found later, where the arguments are known. */
export const refusalOf = (value: unknown, text: string): SerializationError => {
  const error = new SerializationError(text)
  offenders.set(error, value)
  return error
}

/**
 * Returns the error with the place of its value, such as `[0].user.onDone`. `containers` are the containers of the value, outermost first.
 * The place is only searched for after an error, because recording it on the way would cost time for each value of each job.
 */
export const placed = (error: SerializationError, containers: readonly object[], root: string): SerializationError => {
  const chain = offenders.has(error) ? [...containers, offenders.get(error)] : [...containers]
  let place = root
  for (const [index, container] of containers.entries()) {
    if (index + 1 < chain.length) place += keyOf(container, chain[index + 1])
  }
  const options = error.cause === undefined ? {} : { cause: error.cause }
  return new SerializationError(place === '' ? error.message : `${place.trimEnd()}: ${error.message}`, options)
}

/**
 * The key of a value in its container, in JavaScript syntax; '' for a value that the container does not hold itself, such as a range's end.
 */
const keyOf = (container: object, value: unknown): string => {
  if (Array.isArray(container)) {
    const index = container.findIndex((each) => Object.is(each, value))
    return index < 0 ? '' : `[${index}]`
  }
  if (container instanceof Map) {
    const entry = [...container].find(([key, each]) => Object.is(each, value) || Object.is(key, value))
    return entry ? `.get(${typeof entry[0] === 'string' ? JSON.stringify(entry[0]) : String(entry[0])})` : ''
  }
  const entry = Object.entries(container).find(([key, each]) => Object.is(each, value) || key === value)
  if (entry === undefined) return ''
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(entry[0]) ? `.${entry[0]}` : `[${JSON.stringify(entry[0])}]`
}
