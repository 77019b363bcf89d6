import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { prettyStream } from '../../src/observe/logger.ts'

const pretty = (line: object): string => {
  const output = new PassThrough({ encoding: 'utf8' })
  prettyStream(output, false).write(`${JSON.stringify(line)}\n`)
  return String(output.read())
}

test('a line for people has time, level, sentence and the fields that matter', () => {
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

test('a line without a sentence is shown too', () => {
  expect(pretty({ level: 'warn', time: '2026-01-31T12:00:00.123Z', a: 1 })).toBe('12:00:00.123 WARN    a=1\n')
})
