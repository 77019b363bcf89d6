import { rubyClassName } from './error-names.ts'
import { isError } from './error-reading.ts'

export type ErrorClass = abstract new (...args: never[]) => object

/** An error class (it also matches subclasses), or the Ruby or JavaScript name of one. */
export type ErrorMatcher = ErrorClass | string

/** The type of the errors that a matcher matches. */
export type MatchedError<M> = M extends abstract new (...args: never[]) => infer E ? E : Error

const hasName = (error: Error, name: string): boolean => {
  if (error.name === name) return true
  for (let proto: unknown = Object.getPrototypeOf(error); proto; proto = Object.getPrototypeOf(proto)) {
    const errorClass = (proto as { constructor?: { name: string; rubyName?: unknown } }).constructor
    if (errorClass?.name === name || errorClass?.rubyName === name) return true
  }
  return false
}

const matches = (matcher: ErrorMatcher, error: Error): boolean => {
  try {
    if (typeof matcher === 'string') return hasName(error, matcher)
    return error instanceof matcher || (matcher as unknown) === Error
  } catch {
    return false // A getter or a proxy trap threw: the next handler may still match.
  }
}

const causeOf = (error: Error): unknown => {
  try {
    return error.cause
  } catch {
    return undefined
  }
}

/**
 * The handler for an error: the last declared one that matches it, otherwise the one that matches its nearest cause. In that case the cause
 * is the error that is handled. Active Support rescuable.rb#handler_for_rescue.
 */
export const findHandler = <H extends { readonly matchers: readonly ErrorMatcher[] }>(
  handlers: readonly H[],
  error: Error,
): { readonly handler: H; readonly error: Error } | undefined => {
  const seen = new Set<Error>()
  for (let current: unknown = error; isError(current) && !seen.has(current); current = causeOf(current)) {
    const candidate = current
    const handler = handlers.findLast(({ matchers }) => matchers.some((matcher) => matches(matcher, candidate)))
    if (handler) return { handler, error: candidate }
    seen.add(candidate)
  }
  return undefined
}

/** The key of a declaration's counter in exception_executions: Ruby's text of the list, with bare class names and quoted strings. */
export const counterKey = (matchers: readonly ErrorMatcher[]): string =>
  `[${matchers.map((matcher) => (typeof matcher === 'string' ? JSON.stringify(matcher) : rubyClassName(matcher))).join(', ')}]`
