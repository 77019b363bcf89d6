import { ContinuationInterrupt } from '../../errors.ts'
import { hasOwnName, isError, readString } from './error-reading.ts'

/** Limits on the causes in one text, because an error may have thousands. */
const MAX_REASONS = 20
const MAX_DEPTH = 8
const MAX_SIBLINGS = 5
const MAX_REASON_LENGTH = 500
const MAX_LENGTH = 2_000

/**
 * The JavaScript name of an error's class: its `name`, such as `AbortError`, or the name of its class if `name` is only inherited from a
 * built-in class. pg's DatabaseError has the name `error`.
 */
export const javaScriptName = (error: unknown): string => {
  if (!isError(error)) return 'Error'
  const className = readString(() => error.constructor.name) ?? ''
  const name = readString(() => error.name) ?? ''
  const isInherited = Object.hasOwn(globalThis, name) && !hasOwnName(error)
  if (!isInherited && /^\p{Lu}\S*$/u.test(name)) return name
  if (isClassName(className)) return className
  return isInherited ? name : 'Error'
}

const isClassName = (name: string): boolean => /^\p{Lu}[\p{L}\p{N}_]{2,}$/u.test(name)

/** The causes of an error, nearest first: ` ← TypeError: fetch failed ← Error: connect ECONNREFUSED`; '' if there are none. */
export const reasonsText = (error: unknown): string => {
  const text = new Reasons(error).of(error, 0)
  return text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH)}…` : text
}

/** The causes of an error, nearest first, including the parts of an AggregateError. */
export const causesOf = (error: unknown): Error[] => {
  const found: Error[] = []
  const seen = new Set<unknown>([error])
  const queue = nextOf(error)
  while (queue.length > 0 && found.length < MAX_DEPTH) {
    const next = queue.shift()
    if (!isError(next) || seen.has(next)) continue
    seen.add(next)
    found.push(next)
    queue.push(...nextOf(next))
  }
  return found
}

const partsOf = (error: unknown): unknown[] => {
  try {
    const { errors } = error as { errors?: unknown }
    return isError(error) && Array.isArray(errors) ? errors.slice(0, MAX_SIBLINGS) : []
  } catch {
    return []
  }
}

const countParts = (error: unknown): number => {
  try {
    const { errors } = error as { errors?: unknown }
    return Array.isArray(errors) ? errors.length : 0
  } catch {
    return 0
  }
}

const causeOf = (error: unknown): unknown => {
  try {
    // An interrupt is not a reason: it is how a job with steps ends early.
    return isError(error) && !(error.cause instanceof ContinuationInterrupt) ? error.cause : undefined
  } catch {
    return undefined
  }
}

const nextOf = (error: unknown): unknown[] => [...partsOf(error), causeOf(error)]

/** Visits each cause once, so that a cycle of causes ends. */
class Reasons {
  readonly #seen: Set<unknown>
  #left = MAX_REASONS

  constructor(error: unknown) {
    this.#seen = new Set([error])
  }

  of(error: unknown, depth: number): string {
    if (depth >= MAX_DEPTH) return ''
    return `${this.#parts(error, depth)}${this.#cause(error, depth)}`
  }

  #parts(error: unknown, depth: number): string {
    const texts = partsOf(error).flatMap((part) => this.#reason(part, depth) || [])
    const more = countParts(error) - MAX_SIBLINGS
    if (more > 0) texts.push(`${more} more`)
    if (texts.length === 0) return ''
    return texts.length === 1 ? ` ← ${texts[0]}` : ` ← [${texts.join('; ')}]`
  }

  #cause(error: unknown, depth: number): string {
    const cause = causeOf(error)
    // A wrapper often repeats the message of its cause.
    const message = readMessage(cause)
    if (isError(cause) && message !== '' && !this.#seen.has(cause) && readMessage(error).endsWith(message)) {
      this.#seen.add(cause)
      return this.of(cause, depth + 1)
    }
    const text = this.#reason(cause, depth)
    return text === '' ? '' : ` ← ${text}`
  }

  #reason(cause: unknown, depth: number): string {
    if (this.#seen.has(cause) || this.#left === 0) return ''
    if (!isError(cause)) return typeof cause === 'string' ? cut(cause) : cut(readMessage(cause))
    this.#seen.add(cause)
    this.#left -= 1
    const name = javaScriptName(cause)
    const message = cut(readMessage(cause))
    return `${message === '' ? name : `${name}: ${message}`}${this.of(cause, depth + 1)}`
  }
}

const readMessage = (error: unknown): string =>
  typeof error === 'object' && error !== null ? (readString(() => (error as Error).message) ?? '').trim() : ''

const cut = (text: string): string => (text.length > MAX_REASON_LENGTH ? `${text.slice(0, MAX_REASON_LENGTH)}…` : text)
