import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { prettyStream } from '../../src/observe/logger.ts'

const pretty = (line: object): string => {
  const output = new PassThrough({ encoding: 'utf8' })
  prettyStream(output, false).write(`${JSON.stringify(line)}\n`)
  return String(output.read())
}

test('a readable line has time, level, message and the relevant fields', () => {
  const line = {
    level: 'info',
    time: '2026-01-31T12:00:00.123Z',
    pid: 1,
    hostname: 'h',
    event: 'perform',
    processId: 'p',
    jobClass: 'EchoJob',
    queueName: null,
    durationMs: 1.5,
    labels: ['a'],
    msg: 'Performed a job',
  }
  expect(pretty(line)).toBe('12:00:00.123 INFO  Performed a job  jobClass=EchoJob durationMs=1.5 labels=["a"]\n')
})

test('a line without a message is shown, too', () => {
  expect(pretty({ level: 'warn', time: '2026-01-31T12:00:00.123Z', a: 1 })).toBe('12:00:00.123 WARN    a=1\n')
})

test('an error is shown below the line with its stack, its causes and its aggregated errors', () => {
  const lines: string[] = []
  const output = new PassThrough({ encoding: 'utf8' })
  output.on('data', (text: string) => void lines.push(...text.split('\n')))
  const logger = pino(prettyStream(output, false))
  logger.error(
    { err: new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED') }) },
    'A job ended with an error',
  )
  logger.error({ err: new AggregateError([new Error('::1')], 'both') }, 'A job ended with an error')
  expect(lines[0]).toMatch(/A job ended with an error {2}$/)
  expect(lines[1]).toBe('    TypeError: fetch failed')
  expect(lines[2]).toMatch(/^ {8}at .*logger\.test\.ts/)
  expect(lines).toContain('    caused by: Error: connect ECONNREFUSED')
  expect(lines).toContain('    AggregateError: both')
  expect(lines).toContain('    one of them: Error: ::1')
})
