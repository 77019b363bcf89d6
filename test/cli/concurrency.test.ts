import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { findWaitingInScope } from '../../src/sql/concurrency/scope-jobs.ts'
import { findUsedScopes } from '../../src/sql/concurrency/usage.ts'
import { runCli, runJson } from '../support/cli.ts'
import { ago, Gate, openWorld, performed, type Row } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_processes, good_job_concurrency_claims'))

const LIMITED_MODULE = join(import.meta.dirname, '../fixtures/jobs/limited-jobs.mjs')
const goodJob = (...args: string[]) => runCli(args, { env: { DATABASE_URL: world.url } })

/** What the command prints about a scope, without the names of its fields. */
interface Scope {
  readonly key: string
  readonly running: number
  readonly waiting: number
  readonly rules: readonly Row[]
  readonly throttled_until: string | null
  readonly claims: Row | null
}
interface List {
  readonly scopes: readonly Scope[]
  readonly has_more: boolean
  readonly is_capped: boolean
}
const list = (...args: string[]) => runJson<List>(world.url, 'concurrency', 'list', ...args)

/** A worker that runs `OneJob` with at most one job at a time, until the gate is opened. */
const startOne = async (gate: Gate) => {
  class OneJob extends Job {
    static {
      this.controlConcurrencyWith({ key: 'one', performLimit: 1 })
    }
    perform(): Promise<void> {
      return gate.pass(this)
    }
  }
  const capsule = await world.start({ jobs: [OneJob] })
  const first = await OneJob.performLater()
  await gate.entered
  const second = await OneJob.performLater()
  if (first === false || second === false) throw new Error('refused')
  return { capsule, ids: [first.jobId, second.jobId] as const }
}

const addClaim = (key: string, jobId: string, state: number, seconds: number) =>
  world.sql(
    `INSERT INTO good_job_concurrency_claims (key, job_id, state, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)`,
    [key, jobId, state, ago(seconds)],
  )

test('without a rule, a key and a claim the list is empty', async () => {
  await world.insert({ labels: ['mail'] })
  expect(await goodJob('concurrency', 'list')).toMatchObject({
    code: 0,
    stdout: 'No job is in the scope of a known concurrency rule.\n',
  })
  expect(await list()).toMatchObject({ scopes: [], has_more: false, is_capped: false, throttles_counted: true })
})

test('a full scope is listed with the limit that its worker has published, and shown with its holder and the next job', async () => {
  const gate = new Gate()
  const { capsule, ids } = await startOne(gate)
  await using _capsule = capsule
  const [running, waiting] = ids
  expect((await list()).scopes).toEqual([
    {
      key: 'key:one',
      running: 1,
      waiting: 1,
      rules: [{ job_class: 'OneJob', counts: 'key', value: 'one', is_control: true, limit: 1, throttle: null }],
      throttled_until: null,
      claims: { granted: 1, waiting: 0, promoted: 0 },
    },
  ])
  expect((await goodJob('concurrency', 'list')).stdout).toMatch(/\nkey:one +1 \(full\) +1 +1 +– +1 granted\n/)

  expect(await runJson(world.url, 'concurrency', 'show', 'key:one')).toMatchObject({
    running: 1,
    waiting: 1,
    holders: [
      { id: running, job_class: 'OneJob', locked_by_id: capsule.processId, process: { pid: String(process.pid) } },
    ],
    next: [{ id: waiting, job_class: 'OneJob', queue_name: 'default' }],
    refused: [],
  })
  const { stdout } = await goodJob('concurrency', 'show', 'key:one')
  expect(stdout).toMatch(/running +1 \(full\), limit 1\n/)
  expect(stdout).toMatch(new RegExp(`\n${running} +OneJob +\\S+:${process.pid} +\\d`))
  expect(stdout).toMatch(new RegExp(`\n${waiting} +OneJob +default +–? *\\d`))
  gate.open()
  await performed(...ids)
})

test('--jobs adds the rules of classes that no live worker has: labels, throttles, and the rules that functions decide', async () => {
  await world.insert({ job_class: 'LabelJob', labels: ['api', 'mail'] })
  await world.insert({ job_class: 'TenantJob', concurrency_key: 'tenant-7' })
  const id = await world.insert({
    job_class: 'SlowJob',
    concurrency_key: 'slow',
    finished_at: ago(5),
    executions_count: 1,
  })
  await world.sql(`INSERT INTO good_job_executions (active_job_id, created_at, updated_at) VALUES ($1, $2, $2)`, [
    id,
    ago(10),
  ])
  // Nothing is known of them but the keys.
  expect((await list()).scopes.map(({ key, rules }) => [key, rules])).toEqual([['key:tenant-7', []]])

  const { scopes } = await list('--jobs', LIMITED_MODULE)
  const byKey = new Map(scopes.map((scope) => [scope.key, scope]))
  expect([...byKey.keys()].sort()).toEqual(['key:slow', 'key:tenant-7', 'label:api'])
  expect(byKey.get('label:api')).toMatchObject({ waiting: 1, rules: [{ job_class: 'LabelJob', limit: 3 }] })
  expect(byKey.get('key:tenant-7')).toMatchObject({ rules: [{ value: null, limit: 'computed' }] })
  const until = Date.parse(byKey.get('key:slow')?.throttled_until ?? '')
  expect(until - Date.now()).toBeGreaterThan(30_000)
  expect(until - Date.now()).toBeLessThanOrEqual(50_000)
  const { stdout } = await goodJob('concurrency', 'list', '--jobs', LIMITED_MODULE)
  expect(stdout).toMatch(/\nkey:slow +0 +– +0 +1 in 60 s, next start in \d\d s/)
  expect(stdout).toMatch(/\nkey:tenant-7 +0 +computed +1 /)
})

test('jobs that Ruby refused are counted and shown with their claims, the oldest first', async () => {
  const [waiting, promoted] = [
    await world.insert({ scheduled_at: ago(-60), labels: ['api'] }),
    await world.insert({ labels: ['api'] }),
  ]
  await addClaim('label:api', promoted, 3, 20)
  await addClaim('label:api', waiting, 0, 10)
  expect((await list()).scopes).toEqual([
    expect.objectContaining({
      key: 'label:api',
      running: 0,
      waiting: 1,
      claims: { granted: 0, waiting: 1, promoted: 1 },
    }),
  ])
  expect(await runJson(world.url, 'concurrency', 'show', 'label:api')).toMatchObject({
    refused: [
      { job_id: promoted, state: 'promoted' },
      { job_id: waiting, state: 'waiting' },
    ],
  })
  expect((await goodJob('concurrency', 'show', 'label:api')).stdout).toMatch(
    new RegExp(`\n${promoted} +promoted +\\d+ s ago\n${waiting} +waiting +\\d+ s ago\n`),
  )
})

test('jobs of a key that is shared by many are next in the order of their priority', async () => {
  for (const priority of [2, 0, 1]) await world.insert({ concurrency_key: 'k', priority })
  const { next } = await runJson<{ next: readonly { priority: number }[] }>(world.url, 'concurrency', 'show', 'key:k')
  expect(next.map(({ priority }) => priority)).toEqual([0, 1, 2])
  const all = await runJson<{ next: readonly unknown[] }>(world.url, 'concurrency', 'show', 'all', '--limit', '2')
  expect(all).toMatchObject({ waiting: 3, next: [{ priority: 0 }, { priority: 1 }] })
})

test('counts of waiting jobs are capped, and the result reports that', async () => {
  for (const concurrency_key of ['a', 'a', 'b']) await world.insert({ concurrency_key, id: randomUUID() })
  const facts = await world.adapter.database.facts()
  const find = (maxWaiting: number, limit: number) =>
    findUsedScopes(world.adapter.database.pool, facts, { now: ago(0), maxWaiting, limit, labels: [] })
  expect(await find(10, 10)).toMatchObject({ isCapped: false, hasMore: false, scopes: [{ waiting: 3 }, {}, {}] })
  expect(await find(2, 10)).toMatchObject({ isCapped: true, scopes: [{ claimKey: 'all', waiting: 2 }, {}] })
  expect(await find(10, 1)).toMatchObject({ hasMore: true, scopes: [{ claimKey: 'all' }] })
  await world.sql(
    `UPDATE good_jobs SET priority = 9 WHERE id = (SELECT id FROM good_jobs WHERE concurrency_key = 'a' LIMIT 1)`,
  )
  for (const scope of ['key:a', 'all']) {
    const options = { now: ago(0), limit: 1, maxWaiting: 2 }
    const found = await findWaitingInScope(world.adapter.database.pool, facts, scope, options)
    expect(found).toMatchObject({ waiting: 2, isCapped: true, next: [{ priority: 0 }] })
  }
})

test('a scope of another form is wrong usage', async () => {
  expect(await goodJob('concurrency', 'show', 'mail')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('Expected label:<label>, key:<key> or all.'),
  })
})
