import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { Batch } from '../../src/batch/batch.ts'
import { type Logger, silentLogger } from '../../src/job/logger.ts'
import { Capsule } from '../../src/worker/capsule.ts'
import { jobClass, next, openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

interface Line {
  readonly level: string
  readonly text: string
  readonly event?: string
  readonly part?: string
  readonly err?: readonly [stack: string, cause: string | undefined]
}

const HOST = join(import.meta.dirname, '../fixtures/host.mjs')

/** Runs a program that contains a worker; returns its output, and its log lines separately. */
const host = (what: string, { options = [], node = [] }: { options?: string[]; node?: string[] } = {}) => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [...node, HOST, what, ...options], {
    env: { ...process.env, DATABASE_URL: world.url, GOOD_JOB_BATCH_SWEEP_INTERVAL: '0' },
    encoding: 'utf8',
    timeout: 30_000,
  })
  const said = stdout.trim().split('\n')
  const log = said.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Line)
  return { code: status, said: said.filter((line) => !line.startsWith('{')), log, stderr }
}

const alarms = (log: readonly Line[]) => log.filter(({ level }) => ['warn', 'error', 'fatal'].includes(level))

describe('the logger of a capsule', () => {
  test('gets the same lines as the command line, errors with stack and cause', () => {
    const { code, log, said } = host('fails')
    expect(code).toBe(0)
    expect(said).toEqual(['discarded', 'the host goes on', 'listeners left: 0'])
    const texts = log.map(({ text }) => text)
    for (const text of ['Started a pool', 'Performing a job', 'Shutting down', 'Shut down'])
      expect(texts).toContain(text)
    const failed = log.filter(({ event }) => event === 'perform')
    expect(failed).toMatchObject([{ level: 'error', text: 'A job ended with an error' }])
    expect(failed[0]?.err?.[0]).toMatch(/^TypeError: fetch failed\n +at .*host\.mjs/)
    expect(failed[0]?.err?.[1]).toBe('connect ECONNREFUSED')
  })

  test.each([
    ['false', false, /lacks trace, debug, info, warn, error, fatal, child\. Leave it out for no log lines/],
    ['the console', console, /it lacks fatal, child\./],
  ])('is refused by name if it is %s', (_, logger, expected) => {
    expect(() => new Capsule({ jobs: [jobClass('EchoJob', () => {})], logger: logger as unknown as Logger })).toThrow(
      expected,
    )
  })

  test('gets no lines with logEvents: false', () => {
    const { code, log } = host('fails', { options: ['no-log'] })
    expect(code).toBe(0)
    expect(log).toEqual([])
  })

  test('gets the same lines if attached to all events of the process instead', () => {
    const linesOf = (options: string[]) =>
      host('fails', { options })
        .log.map(({ level, text }) => `${level} ${text}`)
        .filter((line) => !line.startsWith('debug'))
        .toSorted()
    const attached = linesOf(['own-log'])
    expect(attached).toContain('error A job ended with an error')
    // Attached before the worker starts, it also logs the enqueue.
    expect(attached.filter((line) => line !== 'info Enqueued a job')).toEqual(linesOf([]))
  })

  test('gets only the lines of its own capsule, each once, beside another capsule', async () => {
    const recorder = () => {
      const lines: string[] = []
      const write = (fields: Record<string, unknown> | string) =>
        void lines.push(`${(fields as Record<string, unknown>).event} ${(fields as Record<string, unknown>).jobClass}`)
      const logger: Logger = { ...silentLogger, info: write, error: write, child: () => logger }
      return { lines, logger }
    }
    const [one, two] = [recorder(), recorder()]
    const InnerJob = jobClass('InnerJob', () => {})
    const OneJob = jobClass('OneJob', () => InnerJob.performLater())
    const TwoJob = jobClass('TwoJob', () => {})
    const first = await world.start({ jobs: [OneJob, InnerJob], logger: one.logger })
    const second = await world.start({ jobs: [TwoJob], logger: two.logger })
    const jobs = [new OneJob(), new TwoJob()]
    const done = next('perform_job', 3)
    for (const job of jobs) await job.enqueue()
    await done
    const completed = next('batch_completed')
    await Batch.enqueue({}, async () => void (await TwoJob.performLater()))
    await completed
    await first.shutdown()
    await second.shutdown()
    const of = (lines: string[], event: string) => lines.filter((line) => line.startsWith(`${event} `))
    expect(of(one.lines, 'perform').sort()).toEqual(['perform InnerJob', 'perform OneJob'])
    expect(of(two.lines, 'perform')).toEqual(['perform TwoJob', 'perform TwoJob'])
    expect([of(one.lines, 'batch_completed').length, of(two.lines, 'batch_completed').length]).toEqual([0, 1])
    expect(of(one.lines, 'enqueue').sort()).toEqual([
      'enqueue InnerJob',
      'enqueue OneJob',
      'enqueue TwoJob',
      'enqueue TwoJob',
    ])
    expect(of(two.lines, 'enqueue')).toEqual([])
  })
})

test('the worker installs no handlers for SIGTERM and SIGINT', () => {
  const { code, said } = host('works', { options: ['signals'] })
  expect(said).toEqual(['listeners for signals: 0', 'the host goes on', 'listeners left: 0'])
  expect(code).toBe(0)
})

describe('a promise that a job does not await', () => {
  test('fails the job, and the host continues', () => {
    const { code, said, log } = host('leaves')
    expect(said).toEqual(['discarded', 'the host goes on', 'listeners left: 0'])
    expect(code).toBe(0)
    expect(log.filter(({ event }) => event === 'perform')).toMatchObject([{ level: 'error' }])
  })

  test('is logged, and the host continues, if it is rejected after the end of the job', () => {
    const { code, said, log } = host('leaves-late')
    expect(said).toEqual(['the host goes on', 'listeners left: 0'])
    expect(code).toBe(0)
    expect(alarms(log)).toMatchObject([
      { event: 'worker_error', part: expect.stringMatching(/^a promise that job [\w-]+ left behind/) },
    ])
  })

  test('is also passed to an unhandledRejection listener of the host', () => {
    expect(host('leaves', { options: ['own-listener'] }).said).toContain('the host received: Error: not awaited')
  })

  test('ends the host with catchRejections: false or --unhandled-rejections=strict', () => {
    for (const given of [{ options: ['no-catch'] }, { node: ['--unhandled-rejections=strict'] }]) {
      const { code, said, stderr } = host('leaves', given)
      expect(code).toBe(1)
      expect(said).not.toContain('the host goes on')
      expect(stderr).toContain('Error: not awaited')
    }
  })
})

describe('a rejection of the host itself, while a worker runs', () => {
  test.each<[string, string[], number, RegExp]>([
    ['by default', [], 1, /Error: of the host\n/],
    [
      'with --unhandled-rejections=warn',
      ['--unhandled-rejections=warn'],
      0,
      /UnhandledPromiseRejectionWarning: Error: of the host/,
    ],
    [
      'with --unhandled-rejections=warn-with-error-code',
      ['--unhandled-rejections=warn-with-error-code'],
      1,
      /of the host/,
    ],
  ])('%s does what it does without one', (_how, node, code, stderr) => {
    const ended = host('works', { node, options: ['rejects-itself'] })
    expect(ended.stderr).toMatch(stderr)
    expect(ended.code).toBe(code)
  })
})

test('a rejected async listener fails no job', () => {
  const { code, log, said } = host('works', { options: ['bad-listener'] })
  expect(code).toBe(0)
  expect(said).not.toContain('discarded')
  expect(alarms(log)).toMatchObject([{ event: 'worker_error', part: 'listener of perform_start' }])
  expect(log.filter(({ event }) => event === 'perform')).toMatchObject([{ level: 'info', text: 'Performed a job' }])
})

test('a job aborted by a shutdown is logged as one info line, and no error handler runs', () => {
  const { code, log, said } = host('waits')
  expect(said).toEqual(['waits', 'the host goes on', 'listeners left: 0'])
  expect(code).toBe(0)
  expect(alarms(log)).toEqual([])
  const about = log.filter(
    ({ level, event }) => level === 'info' && /^(perform|outcome_lost|discard|enqueue_retry)$/.test(event ?? ''),
  )
  expect(about).toMatchObject([{ event: 'outcome_lost', text: 'The shutdown interrupted a job; it will run again' }])
})
