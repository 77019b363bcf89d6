import { describe, expect, test } from 'vitest'
import { InvalidJobDataError } from '../../src/errors.ts'
import { Job } from '../../src/job/base.ts'
import { jobFromData, jobFromText, jobToData, jobToText } from '../../src/job/serialization.ts'
import { kwargs, symbolKeys } from '../../src/serialize/arguments/arguments.ts'
import { parseJobData, stringifyJobData } from '../../src/serialize/job-data.ts'
import { RAILS_VERSIONS, type RailsVersion } from '../../src/serialize/rails-version.ts'
import { sym } from '../../src/serialize/values/ruby-values.ts'
import { vectors } from '../support/vectors.ts'
import { NOW, perform, run, storedJobOf, storedParams } from './fixtures.ts'

class NetworkError extends Error {}

class HelloJob extends Job {
  static override queueAs = 'greetings'
  static override priority = 5
  static {
    this.retryOn(NetworkError, { wait: 10, jitter: null })
  }
  perform(list: unknown[], options: Record<string, unknown>) {
    list.push(4)
    options.added = true
    throw new NetworkError('no')
  }
}

const hashOf = (job: Job, railsVersion: RailsVersion = '7.2') =>
  JSON.parse(jobToText(job, { now: NOW, railsVersion })) as Record<string, unknown>

describe('the hash of a job', () => {
  test.each(['7.1', '7.2', '8.0', '8.1', 'main'] as const)(
    'has nine fraction digits and Z for Rails %s [AJ-007, AJ-008]',
    (version) => {
      expect(hashOf(new HelloJob([], {}), version)).toMatchObject({
        enqueued_at: '2024-02-29T12:34:56.123000000Z',
        scheduled_at: null,
      })
      expect(hashOf(new HelloJob([], {}).set({ waitUntil: NOW }), version).scheduled_at).toBe(
        '2024-02-29T12:34:56.123000000Z',
      )
    },
  )

  test.each(['6.1', '7.0'] as const)('has whole seconds for Rails %s [AJ-007]', (version) => {
    expect(hashOf(new HelloJob([], {}), version).enqueued_at).toBe('2024-02-29T12:34:56Z')
  })

  test('prints counts and priority as integers [AJ-010]', async () => {
    const job = new HelloJob([1], {})
    job.exceptionExecutions = { '[NetworkError]': 1 }
    const result = await perform(job)
    expect(result.reenqueue?.serializedParams).toMatch(
      /"priority":5,.*"executions":1,"exception_executions":\{"\[NetworkError\]":2\}/,
    )
  })

  test('has no labels and no concurrency key, and good_job_notify only when it is set [AJ-015]', () => {
    const job = new HelloJob([], {}).set({ labels: ['a'] })
    job.concurrencyKey = 'key'
    expect(Object.keys(hashOf(job)).filter((key) => key.startsWith('good_job'))).toEqual([])
    expect(hashOf(job.set({ notify: false })).good_job_notify).toBe(false)
    expect(hashOf(job.set({ notify: true })).good_job_notify).toBe(true)
  })

  test('is that of Rails for a job with a schedule, queue and priority', () => {
    const job = new HelloJob([], {}).set({ queue: 'urgent', priority: -3, waitUntil: new Date('2030-01-01T00:00:00Z') })
    job.jobId = '0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00'
    expect(jobToText(job, { now: NOW, railsVersion: '7.2' })).toBe(
      '{"job_class":"HelloJob","job_id":"0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00","provider_job_id":null,"queue_name":"urgent","priority":-3,' +
        '"arguments":[[],{"_aj_symbol_keys":[]}],"executions":0,"exception_executions":{},"locale":"en","timezone":"UTC",' +
        '"enqueued_at":"2024-02-29T12:34:56.123000000Z","scheduled_at":"2030-01-01T00:00:00.000000000Z"}',
    )
  })
})

describe('a new job has the hash that Rails wrote', () => {
  class PlainJob extends Job {
    perform(..._args: unknown[]) {}
  }
  class GreetJob extends Job {
    static override jobClass = 'HelloJob'
    static override queueAs = 'greetings'
    static override priority = 5
    perform(..._args: unknown[]) {}
  }
  class StepJob extends Job {
    static override continuable = true
    perform(_count: number) {}
  }
  const seconds = (wait: number) => ({ waitUntil: new Date(NOW.getTime() + wait * 1000) })
  const builders: Record<string, () => Job> = {
    'PlainJob.perform_later': () => new PlainJob(),
    'PlainJob.perform_later(1, :a, { b: 2 })': () => new PlainJob(1, sym('a'), symbolKeys({ b: 2 })),
    "HelloJob.perform_later(1, name: 'x')": () => new GreetJob(1, kwargs({ name: 'x' })),
    'HelloJob.set(wait: 60).perform_later': () => new GreetJob().set(seconds(60)),
    'HelloJob.set(wait_until: Time.utc(2030, 1, 1)).perform_later': () =>
      new GreetJob().set({ waitUntil: new Date('2030-01-01T00:00:00Z') }),
    'HelloJob.set(wait: 1.5).perform_later': () => new GreetJob().set(seconds(1.5)),
    'HelloJob.set(queue: :urgent, priority: -3).perform_later': () =>
      new GreetJob().set({ queue: 'urgent', priority: -3 }),
    "I18n.with_locale(:fr) { Time.use_zone('Eastern Time (US & Canada)') { HelloJob.perform_later } }": () =>
      Object.assign(new GreetJob(), { locale: 'fr', timezone: 'Eastern Time (US & Canada)' }),
    "Time.use_zone('Asia/Tokyo') { HelloJob.set(wait: 60).perform_later }": () =>
      Object.assign(new GreetJob().set(seconds(60)), { timezone: 'Asia/Tokyo' }),
    'StepJob.perform_later(3)': () => new StepJob(3),
  }

  test.each(RAILS_VERSIONS)('for Rails %s [AJ-005, AJ-007, AJ-008, AJ-010, AJ-074]', (railsVersion) => {
    const written = vectors<{ ruby: string; json: string }[]>(`activejob-jobs-${railsVersion}.json`)
    const known = written.filter(({ ruby }) => ruby in builders)
    expect(known.length).toBeGreaterThanOrEqual(9)
    for (const { ruby, json } of known) {
      const job = (builders[ruby] as () => Job)()
      job.jobId = '0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00'
      // Their frozen clock shows nanoseconds, ours milliseconds.
      const rails = JSON.parse(json.replaceAll('456789Z', '000000Z'))
      // Typed attributes (main) exist in Ruby only; Rails reads a hash without them.
      delete rails.attributes
      expect(hashOf(job, railsVersion), ruby).toEqual(rails)
    }
  })
})

describe('a job from its hash', () => {
  const golden =
    '{"job_class":"HelloJob","job_id":"0f3c1b7a-5f2e-4c7d-9a10-2b8e6d4c1f00","provider_job_id":"p-1","queue_name":"greetings","priority":5,' +
    '"arguments":[[1.0,9007199254740993],{"name":"x","_aj_ruby2_keywords":["name"]}],"executions":1,"exception_executions":{"[StandardError]":1},' +
    '"locale":"fr","timezone":"Eastern Time (US & Canada)","enqueued_at":"2024-02-29T12:34:56.123456789Z","scheduled_at":null,' +
    '"attributes":{"token":"abc","n":12.0,"_aj_symbol_keys":[]},"continuation":{"completed":["one"],"current":["two",7.0]},"resumptions":3,"__proto__":{"a":1}}'

  test('is serialized to the same hash, unknown keys included [AJ-004]', () => {
    const data = parseJobData(golden)
    const job = jobFromData(HelloJob, data)
    const again = jobToData(job, { now: NOW, railsVersion: '7.2' })
    expect(stringifyJobData({ ...again, enqueuedAt: data.enqueuedAt })).toBe(stringifyJobData(data))
  })

  test('keeps unknown keys, locale, zone and every number over a retry [AJ-004, AJ-086]', async () => {
    const attempt = { ...storedJobOf(new HelloJob([], {})), serializedParams: golden }
    const result = await run(attempt)
    const text = result.reenqueue?.serializedParams ?? ''
    expect(text).toContain('"attributes":{"token":"abc","n":12.0,"_aj_symbol_keys":[]}')
    expect(text).toContain('"continuation":{"completed":["one"],"current":["two",7.0]},"resumptions":3')
    expect(text).toContain('"__proto__":{"a":1}')
    expect(text).toContain('"locale":"fr","timezone":"Eastern Time (US & Canada)"')
    expect(text).toContain('"arguments":[[1.0,9007199254740993,4],')
  })

  test('stores mutated arguments on a retry, keywords as keywords [AJ-047]', async () => {
    const attempt = { ...storedJobOf(new HelloJob([], {})), serializedParams: golden }
    const result = await run(attempt)
    expect(storedParams(result).arguments).toEqual([
      [1, 9007199254740992, 4],
      { name: 'x', added: true, _aj_ruby2_keywords: expect.arrayContaining(['name']) },
    ])
  })

  test('counts and runs if the hash has only a job_class [AJ-001, AJ-003]', () => {
    const job = jobFromText(HelloJob, '{"job_class":"HelloJob","odd":1}')
    expect(job).toMatchObject({
      executions: 0,
      arguments: [],
      queueName: 'default',
      priority: null,
      locale: 'en',
      timezone: 'UTC',
    })
  })

  test('restores notify [AJ-015]', () => {
    const job = jobFromText(HelloJob, '{"job_class":"HelloJob","good_job_notify":false}')
    expect(job.notify).toBe(false)
    expect(hashOf(job).good_job_notify).toBe(false)
  })

  test('throws if a time cannot be parsed', () => {
    expect(() => jobFromText(HelloJob, '{"job_class":"HelloJob","enqueued_at":"yesterday"}')).toThrow(
      InvalidJobDataError,
    )
  })
})
