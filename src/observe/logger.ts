import { Writable } from 'node:stream'
import { createColors } from 'picocolors'
import { type DestinationStream, destination, pino } from 'pino'
import type { Logger } from '../job/logger.ts'

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** The logger of a worker process, on standard error: JSON for machines, formatted lines at a terminal. */
export const createLogger = (level: LogLevel, isPretty: boolean = process.stderr.isTTY === true): Logger =>
  pino(
    {
      level,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    isPretty ? prettyStream(process.stderr) : destination({ fd: 2, sync: true }),
  )

/** Turns pino's JSON lines into `12:00:00.123 INFO  Performed a job  jobClass=EchoJob durationMs=1.2`. */
export const prettyStream = (output: NodeJS.WritableStream, isColored = true): DestinationStream =>
  new Writable({
    decodeStrings: false,
    write: (line: string | Buffer, _encoding, done) => {
      output.write(prettyLine(String(line), isColored))
      done()
    },
  })

const HIDDEN = new Set(['level', 'time', 'msg', 'pid', 'hostname', 'event', 'processId', 'err'])

const prettyLine = (json: string, isColored: boolean): string => {
  const fields = JSON.parse(json) as Record<string, unknown>
  const { dim, cyan, yellow, red, bold } = createColors(isColored)
  const paint =
    { debug: dim, trace: dim, info: cyan, warn: yellow, error: red, fatal: red }[String(fields.level)] ?? dim
  const time = String(fields.time).slice(11, 23)
  const rest = Object.entries(fields)
    .filter(([name, value]) => !HIDDEN.has(name) && value !== null)
    .map(([name, value]) => `${dim(`${name}=`)}${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const line = `${dim(time)} ${paint(String(fields.level).toUpperCase().padEnd(5))} ${bold(String(fields.msg ?? ''))}  ${rest.join(' ')}`
  const stack = stackOf(fields.err)
  return stack === '' ? `${line}\n` : `${line}\n${stack.replaceAll(/^/gm, '    ')}\n`
}

/**
 * Formats an error as pino's serializer writes it: the stack includes the causes, and the parts of an AggregateError are in a field of
 * their own.
 */
const stackOf = (err: unknown): string => {
  const { stack, message, aggregateErrors } = (err ?? {}) as {
    stack?: unknown
    message?: unknown
    aggregateErrors?: unknown
  }
  const own = String(stack ?? message ?? '')
  const parts = Array.isArray(aggregateErrors) ? aggregateErrors.map(stackOf).filter(Boolean) : []
  return [own, ...parts.map((part) => `one of them: ${part}`)].filter(Boolean).join('\n')
}
