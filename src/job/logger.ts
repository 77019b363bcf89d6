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
