import { Client } from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { Bulk, ConcurrencyExceededError, Job, ThrottleExceededError } from '../dist/index.js'
import type { RailsApp } from './rails-app.ts'
import { eventually } from './support/eventually.ts'
import { bootRails, openAdapter } from './support/rails.ts'
import { describeWithRuby } from './support/ruby.ts'

/** The same rules on both sides. Ruby knows the class only in this test: older versions of the gem have no rules with labels. */
const UNIQUE_JOB = `
unless defined?(UniqueJob)
  Object.const_set(:UniqueJob, Class.new(ApplicationJob))
  UniqueJob.class_eval do
    include GoodJob::ActiveJobExtensions::Concurrency
    good_job_control_concurrency_with(total_limit: 1, key: -> { "user-#{arguments.first}" })
    good_job_concurrency_rule(label: -> { "account-#{arguments.second}" }, apply_label: true, enqueue_throttle: [3, 1.hour])
    self.good_job_labels = %w[unique]
    def perform(*); end
  end
end
nil`

class UniqueJob extends Job {
  static override labels = ['unique']
  static {
    this.controlConcurrencyWith({ totalLimit: 1, key: (job) => `user-${job.arguments[0]}` })
    this.concurrencyRule({
      label: (job) => `account-${job.arguments[1]}`,
      applyLabel: true,
      enqueueThrottle: [3, 60 * 60],
    })
  }
  perform(_user: number, _account: number): void {
    throw new Error('performed in Ruby')
  }
}

const ROUNDS = 50

describeWithRuby('a class whose enqueues are limited on both sides', () => {
  let app: RailsApp

  beforeAll(async () => {
    app = await bootRails()
    UniqueJob.queueAdapter = openAdapter(app)
    await app.run(UNIQUE_JOB)
  })

  afterAll(() => app.stop())
  beforeEach(() => app.pool.query('TRUNCATE good_jobs'))

  const inRuby = (user: number, account: number) =>
    app.run<boolean>('UniqueJob.perform_later(args[:user], args[:account]) ? true : false', { user, account })
  const inNode = async (user: number, account: number) => (await UniqueJob.performLater(user, account)) !== false
  const rows = async () =>
    (await app.pool.query('SELECT concurrency_key, labels FROM good_jobs ORDER BY created_at')).rows as unknown[]

  test('writes the same key and the same labels on both sides', async () => {
    expect(await inRuby(1, 7)).toBe(true)
    expect(await inNode(2, 7)).toBe(true)
    expect(await rows()).toEqual(
      [1, 2].map((user) => ({ concurrency_key: `user-${user}`, labels: ['unique', 'account-7'] })),
    )
  })

  test('is refused by each side because of a job of the other', async () => {
    expect(await inNode(1, 1)).toBe(true)
    expect(await inRuby(1, 1)).toBe(false)
    expect(await inRuby(2, 2)).toBe(true)
    const job = new UniqueJob(2, 2)
    expect(await job.enqueue()).toBe(false)
    expect(job.enqueueError).toBeInstanceOf(ConcurrencyExceededError)
    expect(await rows()).toHaveLength(2)
  })

  test('is throttled by each side because of jobs of both', async () => {
    expect(await inNode(1, 7)).toBe(true)
    expect(await inRuby(2, 7)).toBe(true)
    const jobs = await Bulk.enqueue([3, 4].map((user) => new UniqueJob(user, 7)))
    expect(jobs.map((job) => job.enqueueError instanceof ThrottleExceededError)).toEqual([false, true])
    expect(await inRuby(5, 7)).toBe(false)
    expect(await inRuby(5, 8)).toBe(true)
  })

  test('waits in Ruby for a transaction in Node that enqueued, and counts its job', async () => {
    const client = new Client(app.databaseUrl)
    await client.connect()
    await client.query('BEGIN')
    await UniqueJob.set({ transaction: client }).performLater(1, 1)
    const ruby = inRuby(1, 1)
    await eventually('Ruby waits', async () => {
      const waiting = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`
      return (await app.pool.query(waiting)).rowCount === 1
    })
    await client.query('COMMIT')
    await client.end()
    expect(await ruby).toBe(false)
  })

  // Ruby releases its lock before it inserts, so one job of Ruby may come on top of that of Node.
  test('is stored once by Node when both sides enqueue at once, and at most once more by Ruby', async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      const [ruby, ...node] = await Promise.all([inRuby(round, round), inNode(round, round), inNode(round, round)])
      expect(node.filter(Boolean).length).toBeLessThanOrEqual(1)
      expect([ruby, ...node].filter(Boolean).length).toBeGreaterThanOrEqual(1)
    }
  })
})
