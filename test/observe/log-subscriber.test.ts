import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type EventMap, type EventName, Events } from '../../src/events.ts'
import { withProcess } from '../../src/job/context.ts'
import { type Logger, type LogMethod, silentLogger } from '../../src/job/logger.ts'
import { attachLogSubscriber } from '../../src/observe/log-subscriber.ts'

interface Line {
  readonly level: string
  readonly text: string
  readonly fields: Record<string, unknown>
}

const listen = (processId?: string) => {
  const events = new Events()
  const lines: Line[] = []
  const method =
    (level: string): LogMethod =>
    (fields: Record<string, unknown> | string, text?: string) =>
      void lines.push({ level, fields: typeof fields === 'string' ? {} : fields, text: text ?? String(fields) })
  const logger: Logger = {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    child: () => logger,
  }
  const detach = attachLogSubscriber(logger, { events, ...(processId === undefined ? {} : { processId }) })
  return { events, lines, detach }
}

const job = { jobId: 'j', jobClass: 'EchoJob', queueName: 'default', executions: 1 }

describe('one line for each event', () => {
  /** The names in events.ts, where the compiler cannot be asked at run time. */
  const names = [
    ...(
      /export interface EventMap \{\n([\s\S]*?)\n\}/.exec(
        readFileSync(new URL('../../src/events.ts', import.meta.url), 'utf8'),
      )?.[1] ?? ''
    ).matchAll(/^ {2}(\w+): /gm),
  ].map(([, name]) => name as EventName)

  test('the test finds all event names', () => expect(names.length).toBeGreaterThan(40))

  test.each(names)('%s', (name) => {
    const { events, lines } = listen()
    events.emit(name, { processId: 'p' } as unknown as EventMap[typeof name])
    expect(lines.length).toBe(1)
    expect(lines[0]?.text).toMatch(/^[A-Z][a-zA-Z ,;]+$/)
    expect(lines[0]?.fields).toEqual({ event: name, processId: 'p' })
  })
})

test.each<[string, EventName, object, string, string]>([
  ['a job that ended well', 'perform', { ...job, durationMs: 1 }, 'info', 'Performed a job'],
  [
    'a job that failed',
    'perform',
    { ...job, durationMs: 1, error: new Error('x') },
    'error',
    'A job ended with an error',
  ],
  [
    'a job that a callback stopped',
    'perform',
    { ...job, durationMs: 1, aborted: true },
    'info',
    'A callback stopped a job',
  ],
  ['an enqueue that failed', 'enqueue', { ...job, error: new Error('x') }, 'error', 'Failed to enqueue a job'],
  ['a sweep that found nothing', 'batch_sweep', { healed: 0, unproven: 0 }, 'debug', 'Swept the batches'],
  ['a sweep that healed', 'batch_sweep', { healed: 1, unproven: 0 }, 'info', 'Swept the batches'],
  [
    'due jobs that no worker runs',
    'jobs_unserved',
    { processId: 'p', queueName: 'mail', jobClass: 'MailJob', jobs: 3, oldestAt: new Date(0), lacks: 'class' },
    'warn',
    'Due jobs are waiting, but no live worker of their queue has their class',
  ],
  ['locks that were lost', 'lane_restored', { keptLocks: 1, lostLocks: 1 }, 'warn', 'Restored the locks of jobs'],
])('%s has its level', (_what, name, payload, level, text) => {
  const { events, lines } = listen()
  events.emit(name, payload as never)
  expect(lines).toEqual([expect.objectContaining({ level, text })])
})

test('errors are logged as objects under err, as pino expects; times are rounded', () => {
  const { events, lines } = listen()
  const error = new TypeError('wrong', { cause: new Error('why') })
  events.emit('perform', { ...job, durationMs: 1.23456789, error })
  events.emit('connection_retry', { processId: 'p', part: 'start', error: 'a text', attempt: 1 })
  expect(lines[0]?.fields).toEqual({ event: 'perform', ...job, durationMs: 1.235, err: error })
  expect(lines[1]?.fields).toMatchObject({ error: 'a text' })
})

describe('several subscribers', () => {
  /** Loggers that record which of them writes an event. */
  const scene = () => {
    const events = new Events()
    const written: string[] = []
    const ends: (() => void)[] = []
    const loggerOf = (who: string): Logger => ({
      ...silentLogger,
      info: (fields) => void written.push(`${who} ${(fields as Record<string, unknown>).event}`),
    })
    const attach = (logger: Logger, processId?: string) =>
      ends.push(attachLogSubscriber(logger, { events, ...(processId === undefined ? {} : { processId }) }))
    const detach = () => {
      for (const end of ends) end()
    }
    return { events, written, loggerOf, attach, detach, ends }
  }

  test('of two workers each log their own events, and one of them logs events without a worker', () => {
    const { events, written, loggerOf, attach, detach, ends } = scene()
    attach(loggerOf('first'), '1')
    attach(loggerOf('second'), '2')
    events.emit('perform_start', { ...job, processId: '1' })
    events.emit('perform_start', { ...job, processId: '2' })
    events.emit('perform_start', { ...job, processId: 'of a worker without a logger' })
    events.emit('enqueue', job)
    expect(written).toEqual(['first perform_start', 'second perform_start', 'first enqueue'])
    ends[0]?.()
    events.emit('enqueue', job)
    expect(written.at(-1)).toBe('second enqueue')
    detach()
  })

  test('log an event without a worker only in the worker that caused it', () => {
    const { events, written, loggerOf, attach, detach } = scene()
    attach(loggerOf('first'), '1')
    attach(loggerOf('second'), '2')
    withProcess('2', () => events.emit('enqueue', job))
    withProcess('of a worker without a logger', () => events.emit('enqueue', job))
    expect(written).toEqual(['second enqueue'])
    detach()
  })

  test('with the same logger write each event once', () => {
    const { events, written, loggerOf, attach, detach } = scene()
    const logger = loggerOf('host')
    attach(logger, '1')
    attach(logger)
    events.emit('perform_start', { ...job, processId: '1' })
    events.emit('enqueue', job)
    expect(written).toEqual(['host perform_start', 'host enqueue'])
    detach()
  })
})

test.each<[string, EventName, object, string, string]>([
  [
    'an error of a job whose signal was aborted',
    'perform',
    { ...job, durationMs: 1, error: new Error('x'), isStopped: true },
    'debug',
    'A job that was asked to stop ended with an error',
  ],
  [
    'a job that a shutdown interrupted',
    'outcome_lost',
    { ...job, isInterrupted: true },
    'info',
    'The shutdown interrupted a job; it will run again',
  ],
  [
    'a job that is no longer ours',
    'outcome_lost',
    job,
    'warn',
    'Dropped the outcome of a job that this worker no longer owns',
  ],
])('%s has its level', (_what, name, payload, level, text) => {
  const { events, lines } = listen()
  events.emit(name, payload as never)
  expect(lines).toEqual([expect.objectContaining({ level, text })])
})

test('events of another worker in this process are skipped, events without a worker are not', () => {
  const { events, lines } = listen('mine')
  events.emit('perform_start', { ...job, processId: 'other' })
  events.emit('perform_start', { ...job, processId: 'mine' })
  events.emit('enqueue', job)
  expect(lines.map(({ fields }) => fields.processId)).toEqual(['mine', undefined])
})

test('a detached subscriber writes nothing', () => {
  const { events, lines, detach } = listen()
  detach()
  events.emit('enqueue', job)
  expect(lines).toEqual([])
})
