/** One line of a log: fields and a fixed sentence, or a sentence alone. */
export interface LogMethod {
  (fields: Record<string, unknown>, text?: string): void
  (text: string): void
}

/** What a job gets as `this.logger`; a pino logger fits as it is. */
export interface Logger {
  trace: LogMethod
  debug: LogMethod
  info: LogMethod
  warn: LogMethod
  error: LogMethod
  fatal: LogMethod
  /** A logger that adds these fields to each of its lines. */
  child(bindings: Record<string, unknown>): Logger
}

const ignore = () => {}

/** Writes nothing. */
export const silentLogger: Logger = {
  trace: ignore,
  debug: ignore,
  info: ignore,
  warn: ignore,
  error: ignore,
  fatal: ignore,
  child: () => silentLogger,
}
