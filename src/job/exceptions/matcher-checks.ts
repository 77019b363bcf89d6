import { nearest } from '../../configuration-values.ts'
import * as ourErrors from '../../errors.ts'
import { ConfigurationError } from '../../errors.ts'
import { shortly, UNDEFINED_ADVICE } from '../definition/mistakes.ts'
import { isLastingName } from '../definition/naming.ts'
import { isError } from './error-reading.ts'
import type { ErrorMatcher } from './matching.ts'

/** Throws ConfigurationError for a matcher that is neither an error class nor a name, and warns about names of no known error. */
export const assertMatchers = (declaration: string, matchers: readonly unknown[]): void => {
  if (matchers.length === 0) throw new ConfigurationError(`${declaration} needs an error class`)
  for (const matcher of matchers) {
    if (typeof matcher === 'string') warnOfUnknownName(declaration, matcher)
    else if (typeof matcher !== 'function') throw new ConfigurationError(`${declaration}: ${whatIsWrong(matcher)}`)
  }
}

const whatIsWrong = (matcher: unknown): string => {
  if (matcher === undefined) return `the error class ${UNDEFINED_ADVICE}`
  if (isError(matcher)) return `this is an instance of ${matcher.constructor.name}: pass the class`
  return `an error class or the name of one is needed, got ${shortly(matcher)}`
}

const BUILT_IN_NAMES = [
  'AssertionError',
  'DOMException',
  'SystemError',
  'AbortError',
  'TimeoutError',
  'NotFoundError',
  'DataCloneError',
]
const OUR_NAMES = Object.keys(ourErrors).filter((name) => name.endsWith('Error'))
const warned = new Set<string>()

// A name with `::` belongs to a Ruby class; a JavaScript class may declare it as `static rubyName`.
const isKnownName = (name: string): boolean =>
  name.includes('::') || BUILT_IN_NAMES.includes(name) || OUR_NAMES.includes(name) || isBuiltIn(name)

const isBuiltIn = (name: string): boolean => {
  const value: unknown = (globalThis as Readonly<Record<string, unknown>>)[name]
  return typeof value === 'function' && (value === Error || value.prototype instanceof Error)
}

const warnOfUnknownName = (declaration: string, name: string): void => {
  if (isKnownName(name) || warned.has(name)) return
  warned.add(name)
  const meant = nearest(name, [
    ...BUILT_IN_NAMES,
    ...OUR_NAMES,
    'TypeError',
    'RangeError',
    'SyntaxError',
    'ReferenceError',
  ])
  process.emitWarning(
    `${declaration}('${name}'): no known error has this name${meant ? ` (did you mean ${meant}?)` : ''}; pass the class itself where you can`,
    { code: 'GOOD_JOB_ERROR_NAME' },
  )
}

/** Some libraries use a leading `$` (`$ZodError`). The `$` of a build tool is at the end of a name, or is the whole name. */
const SIGIL = /^\$/

/**
 * Throws ConfigurationError for an error class whose name a build tool may have generated. The counter of retryOn is stored under that
 * name: after the next build it would start again, or count the failures of another class.
 */
export const assertLastingCounter = (matchers: readonly ErrorMatcher[]): void => {
  for (const matcher of matchers) {
    if (typeof matcher === 'string' || isLastingName(matcher.name.replace(SIGIL, ''))) continue
    if ('rubyName' in matcher && typeof matcher.rubyName === 'string') continue
    throw new ConfigurationError(
      `retryOn: "${matcher.name}" is not a usable name for an error class with a counter: build tools make such names. ` +
        `Add static rubyName = 'MailError' to the class, or give retryOn a key: { key: '[MailError]' }`,
    )
  }
}
