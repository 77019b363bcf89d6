import { ThrownValueError } from '../../errors.ts'
import { hasOwnName, isError, readString } from './error-reading.ts'
import { causesOf, javaScriptName, reasonsText } from './error-reasons.ts'

/** The Ruby exception class under which a JavaScript error with this name is stored. */
const RUBY_NAMES: Readonly<Record<string, string>> = {
  Error: 'StandardError',
  AggregateError: 'StandardError',
  EvalError: 'StandardError',
  TypeError: 'TypeError',
  RangeError: 'RangeError',
  ReferenceError: 'NameError',
  // Ruby's SyntaxError is a ScriptError, and `rescue` without a class does not catch it.
  SyntaxError: 'StandardError',
  URIError: 'URI::Error',
  AbortError: 'StandardError',
  TimeoutError: 'Timeout::Error',
}

const CONSTANT = /^[A-Z]\w*(::[A-Z]\w*)*$/
const EXCEPTION = /^[A-Z]\w*(Error|Exception)$/

const known = (name: string): string | undefined => {
  if (Object.hasOwn(RUBY_NAMES, name)) return RUBY_NAMES[name]
  // A bare name such as `User` could be a model, and the dashboard would create an instance of it.
  return EXCEPTION.test(name) ? name : undefined
}

/** The Ruby name of an error class: its `static rubyName`, the equivalent of a built-in class, its own name, or StandardError. */
export const rubyClassName = (errorClass: { readonly name: string; readonly rubyName?: unknown }): string => {
  const { rubyName } = errorClass
  if (typeof rubyName === 'string' && CONSTANT.test(rubyName)) return rubyName
  return known(errorClass.name) ?? 'StandardError'
}

/** The thrown value if it is an error, otherwise an error that contains it. */
export const asError = (thrown: unknown): Error => (isError(thrown) ? thrown : new ThrownValueError(thrown))

/** The name under which an error is stored. It names a Ruby exception class, or no Ruby class at all. */
export const rubyErrorName = (error: unknown): string => {
  if (!isError(error)) return 'StandardError'
  const explicit = readString(() => (error.constructor as { rubyName?: unknown }).rubyName)
  if (explicit !== undefined && CONSTANT.test(explicit)) return explicit
  const className = readString(() => error.constructor.name) ?? 'Error'
  const name = readString(() => error.name) ?? className
  // All errors of an AbortSignal are DOMExceptions and differ only by name.
  if (className === 'DOMException') return known(name) ?? 'StandardError'
  // A subclass without a name of its own inherits that of its ancestor, such as 'Error'.
  const isInherited = name !== className && Object.hasOwn(RUBY_NAMES, name) && !hasOwnName(error)
  return (isInherited ? known(className) : undefined) ?? known(name) ?? known(className) ?? 'StandardError'
}

/** Maximum length of a stored error text: a statement of Postgres is limited to 1 GB, and a character may take three bytes. */
const MAX_TEXT = 100_000_000

const cut = (text: string): string =>
  text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT)}… (${text.length - MAX_TEXT} more characters)`

/** Text that Postgres can store: U+0000 and unpaired surrogates become U+FFFD. */
const storable = (text: string): string =>
  (text as string & { toWellFormed(): string }).toWellFormed().replaceAll('\u0000', '\uFFFD')

/**
 * The stored text of an error: `<Name>: <message>`, as in GoodJob's error columns, followed by its causes: ` ← Error: connect
 * ECONNREFUSED`. If the message is empty, it is the name of the class, as in Ruby.
 */
export const errorText = (error: unknown): string => {
  const { message } = describe(error)
  const said = message.trim() === '' ? javaScriptName(error) : cut(message)
  return storable(`${rubyErrorName(error)}: ${said}${reasonsText(error)}`)
}

const describe = (error: unknown): { message: string } => {
  const message = readString(() => (error as Error).message)
  if (message !== undefined) return { message }
  return { message: isError(error) ? '' : (readString(() => String(error)) ?? 'a value without a text') }
}

/** Number of frames per cause: the message and the place are enough, because the other frames are often the same. */
const CAUSE_FRAMES = 5
const MAX_HEADER_LENGTH = 200

/**
 * The frames of an error, nearest first, as GoodJob stores them in error_backtrace. They are followed by the JavaScript class, if the
 * stored name is only its Ruby equivalent, and by the causes with their nearest frames.
 */
export const backtraceOf = (error: unknown): string[] => [
  ...framesOf(error),
  ...thrownAs(error),
  ...causesOf(error).flatMap((cause) => [
    storable(`caused by ${headerOf(cause)}`),
    ...framesOf(cause).slice(0, CAUSE_FRAMES),
  ]),
]

const headerOf = (error: Error): string => {
  const name = javaScriptName(error)
  const [line = ''] = describe(error).message.trim().split('\n', 1)
  return line === '' ? name : `${name}: ${line.slice(0, MAX_HEADER_LENGTH)}`
}

const framesOf = (error: unknown): string[] => {
  const stack = readString(() => (error as Error).stack)
  if (stack === undefined) return []
  // The stack begins with the message, which may contain lines that look like frames.
  const end = stack.indexOf(describe(error).message)
  const frames = end < 0 ? stack : stack.slice(end + describe(error).message.length)
  return frames.split('\n').flatMap((line) => (/^\s+at /.test(line) ? [storable(line.trim())] : []))
}

const THROWN_AS = 'thrown as '

// A class with `static rubyName` is shown under that name.
const thrownAs = (error: unknown): string[] => {
  if (!isError(error) || readString(() => (error.constructor as { rubyName?: unknown }).rubyName) !== undefined)
    return []
  const name = javaScriptName(error)
  return name === rubyErrorName(error) ? [] : [storable(`${THROWN_AS}${name}`)]
}

/** The JavaScript class in a stored backtrace, if the stored error has another name. */
export const javaScriptNameIn = (backtrace: readonly string[] | null): string | undefined =>
  backtrace?.find((line) => line.startsWith(THROWN_AS))?.slice(THROWN_AS.length)

/** A stored error text with the JavaScript class: `Error: x` for a `StandardError: x` that was thrown as Error. */
export const javaScriptText = (text: string, name: string | undefined): string => {
  const end = text.indexOf(': ')
  return name === undefined || end < 0 ? text : `${name}${text.slice(end)}`
}

/** Splits a stored error text at its first `": "`, which no Ruby class name contains. */
export const parseErrorText = (text: string): { readonly name: string; readonly message: string } => {
  const end = text.indexOf(': ')
  return end < 0 ? { name: text, message: '' } : { name: text.slice(0, end), message: text.slice(end + 2) }
}
