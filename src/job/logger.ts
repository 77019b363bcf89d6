import { ConfigurationError } from '../errors.ts'

/** Writes one log line: fields and a fixed sentence, or only a sentence. */
export interface LogMethod {
  (fields: Record<string, unknown>, text?: string): void
  (text: string): void
}

/** The type of a job's `this.logger`; a pino logger implements it. */
export interface Logger {
  trace: LogMethod
  debug: LogMethod
  info: LogMethod
  warn: LogMethod
  error: LogMethod
  fatal: LogMethod
  /** Returns a logger that adds these fields to each line. */
  child(bindings: Record<string, unknown>): Logger
}

const ignore = () => {}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
  child: () => silentLogger,
}

const METHODS = [
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'fatal',
  'child',
] as const satisfies readonly (keyof Logger)[]

/** @throws ConfigurationError for anything that lacks a method of a logger, such as `console`. */
export const assertLogger = (logger: unknown): void => {
  const given = Object(logger) as Readonly<Record<string, unknown>>
  const missing = METHODS.filter((method) => typeof given[method] !== 'function')
  if (missing.length === 0) return
  throw new ConfigurationError(
    `logger must be a pino logger, or one with the same methods; it lacks ${missing.join(', ')}. Leave it out for no log lines`,
  )
}
