import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { advisoryKey } from '../../src/sql/advisory-lock.ts'
import type { Facts } from '../../src/sql/database.ts'
import { findSilentJobs, releaseSilentJobs, type SilentJobs } from '../../src/sql/jobs/abandoned.ts'
import { releaseDeadProcesses } from '../../src/sql/process/dead.ts'
import { SilentOwners } from '../../src/worker/watch/silent-owners.ts'
import { runCli, runJson } from '../support/cli.ts'
import { ago, jobClass, next, openWorld, performed, type Row, type World } from '../support/harness.ts'

const Echo = jobClass('Echo', () => undefined)

let world: World
let facts: Facts
beforeAll(async () => {
  world = await openWorld()
  facts = await world.adapter.database.facts()
})
afterAll(() => world.close())
beforeEach(async () => {
  await world.sql('DELETE FROM good_jobs')
  await world.sql('DELETE FROM good_job_processes')
})

/** As GoodJob leaves a job that a skiplocked worker has claimed and not started: lockable.rb#with_row_lock_claim. */
const claimed = (columns: Row = {}) =>
  world.insert({ job_class: 'Rubys', locked_by_id: randomUUID(), locked_at: ago(600), lock_type: 1, ...columns })
const ownerOf = async (id: string) => (await world.job(id)).locked_by_id
const processRow = (state: Row, columns: Row = {}) =>
  world.sql(`INSERT INTO good_job_processes (id, created_at, updated_at, state) VALUES ($1, $2, $2, $3)`, [
    columns.id ?? randomUUID(),
    columns.updated_at ?? ago(1),
    state,
  ])

const find = () => findSilentJobs(world.pool, facts)
const later = (seen: SilentJobs, ms: number): SilentJobs => ({ ...seen, atMs: seen.atMs + ms })
/** Releases the jobs that two queries `ms` apart both find; `meanwhile` runs before the release. Returns how many were released. */
const releaseAfter = async (ms: number, meanwhile: () => Promise<unknown> = async () => {}): Promise<number> => {
  const owners = new SilentOwners()
  const seen = await find()
  expect(owners.due(seen)).toEqual([])
  const due = owners.due(later(seen, ms))
  await meanwhile()
  return due.length === 0 ? 0 : releaseSilentJobs(world.pool, facts, due)
}

test('a job of a skiplocked owner without a process row is released by queries more than five minutes apart, not earlier', async () => {
  const id = await claimed()
  expect(await releaseAfter(300_000)).toBe(0)
  expect(await ownerOf(id)).not.toBeNull()
  expect(await releaseAfter(300_001)).toBe(1)
  expect(await world.job(id)).toMatchObject({ locked_by_id: null, locked_at: null })
})

test('the five minutes are measured by the clock of the server: a process clock that jumps by an hour releases nothing', async () => {
  const id = await claimed()
  const owners = new SilentOwners()
  const release = () => world.adapter.database.transaction((db) => owners.release(db, facts))
  const [date, monotonic] = [Date.now, performance.now.bind(performance)]
  expect(await release()).toBe(0)
  try {
    vi.spyOn(Date, 'now').mockImplementation(() => date() + 3_600_000)
    vi.spyOn(performance, 'now').mockImplementation(() => monotonic() + 3_600_000)
    expect(await release()).toBe(0)
  } finally {
    vi.restoreAllMocks()
  }
  expect(await ownerOf(id)).not.toBeNull()
})

test('a locked job without locked_at is released by queries more than five minutes apart, whatever its lock strategy', async () => {
  const id = await claimed({ locked_at: null, lock_type: 2 })
  expect(await releaseAfter(300_001)).toBe(1)
  expect(await ownerOf(id)).toBeNull()
})

test('a query that does not find the job, or finds another claim, restarts the five minutes', async () => {
  const id = await claimed()
  const owners = new SilentOwners()
  const first = await find()
  owners.due(first)
  owners.due({ jobs: [], atMs: 0 })
  expect(owners.due(later(first, 300_001))).toEqual([])
  await world.sql('UPDATE good_jobs SET locked_at = $2 WHERE id = $1', [id, ago(1)])
  const second = await find()
  expect(owners.due(later(second, 300_002))).toEqual([])
  expect(owners.due(later(second, 600_003))).toHaveLength(1)
})

test('jobs whose advisory lock is held, and jobs of a process with a row, are not found', async () => {
  const [held, owned] = [await claimed(), await claimed()]
  await processRow({}, { id: await ownerOf(owned), updated_at: ago(200) })
  const holder = await world.database.connect()
  await holder.query('SELECT pg_advisory_lock($1)', [advisoryKey(`good_jobs-${held}`)])
  expect((await find()).jobs).toEqual([])
  await holder.end()
})

test('nothing is released while a Ruby process before 4.22.1 may live under another id: several rows name it', async () => {
  const id = await claimed()
  await processRow({ hostname: 'a', pid: 1 })
  await processRow({ hostname: 'b', pid: 1 })
  expect((await find()).jobs).toHaveLength(1)
  await processRow({ hostname: 'a', pid: 1 }, { updated_at: ago(40) })
  expect((await find()).jobs).toEqual([])
  await world.sql('DELETE FROM good_job_processes')
  expect(await releaseAfter(300_001, () => Promise.all([1, 2].map(() => processRow({ hostname: 'a', pid: 1 }))))).toBe(
    0,
  )
  expect(await ownerOf(id)).not.toBeNull()
})

test.each([
  ['the process has its row again', async (id: string) => processRow({}, { id: await ownerOf(id) })],
  [
    'another has claimed it',
    (id: string) => world.sql('UPDATE good_jobs SET locked_by_id = $2 WHERE id = $1', [id, randomUUID()]),
  ],
  [
    'the same has claimed it again',
    (id: string) => world.sql('UPDATE good_jobs SET locked_at = $2 WHERE id = $1', [id, ago(0)]),
  ],
  ['it has finished', (id: string) => world.sql('UPDATE good_jobs SET finished_at = $2 WHERE id = $1', [id, ago(0)])],
])('nothing is freed when %s by then', async (_, meanwhile) => {
  const id = await claimed()
  expect(await releaseAfter(300_001, () => meanwhile(id))).toBe(0)
  expect(await ownerOf(id)).not.toBeNull()
})

test('the statement waits for no row lock and takes no advisory lock from another session', async () => {
  const [row, lock] = [await claimed(), await claimed()]
  const holder = await world.database.connect()
  await holder.query('BEGIN')
  const freed = await releaseAfter(300_001, async () => {
    await holder.query('SELECT FROM good_jobs WHERE id = $1 FOR NO KEY UPDATE', [row])
    await holder.query('SELECT pg_advisory_xact_lock($1)', [advisoryKey(`good_jobs-${lock}`)])
  })
  expect(freed).toBe(0)
  await holder.query('COMMIT')
  await holder.end()
})

const DEAD = { updated_at: ago(400) }

// The table in docs/operations.md, line by line: what Ruby leaves when it is killed, and what a worker in Node then does.
test.each([
  ['claimed on advisory', {}, undefined],
  ['started on advisory, with a dead process row', { lock_type: 0, performed_at: ago(600) }, DEAD],
  ['started on advisory, without a row', { lock_type: 0, performed_at: ago(600) }, undefined],
  ['started before GoodJob 4.15, with a dead row', { lock_type: null, performed_at: ago(600) }, DEAD],
  ['started before GoodJob 4.15, without a row', { lock_type: null, performed_at: ago(600) }, undefined],
  ['claimed on hybrid, with a dead row', { lock_type: 2 }, DEAD],
  ['claimed on hybrid, without a row', { lock_type: 2 }, undefined],
  ['started on hybrid, without a row', { lock_type: 2, performed_at: ago(600) }, undefined],
  ['claimed on skiplocked, with a dead row', { lock_type: 1 }, DEAD],
  ['started on skiplocked, with a dead row', { lock_type: 1, performed_at: ago(600) }, DEAD],
  ['locked without a time, with a dead row', { lock_type: 2, locked_at: null }, DEAD],
  [
    'freed by the cleanup of Ruby, which leaves the lock type',
    { lock_type: 1, locked_by_id: null, locked_at: null },
    undefined,
  ],
  ['freed by the end of its process, which leaves the time', { lock_type: 1, locked_by_id: null }, undefined],
] as const)('a job %s runs again, and the attempt that Ruby left open is closed', async (state, columns, row) => {
  const isUntouched = state === 'claimed on advisory'
  const owner = randomUUID()
  const id = isUntouched
    ? await world.insert({ job_class: 'Echo' })
    : await claimed({ job_class: 'Echo', locked_by_id: owner, ...columns })
  if (row !== undefined) await processRow({}, { id: owner, ...row })
  const hasStarted = 'performed_at' in columns
  if (hasStarted) {
    await world.sql(
      'INSERT INTO good_job_executions (id, created_at, updated_at, active_job_id, process_id) VALUES ($1, $2, $2, $3, $4)',
      [randomUUID(), ago(600), id, owner],
    )
  }
  const done = performed(id)
  await using _capsule = await world.start({ jobs: [Echo] })
  await done
  const events = (await world.executions(id)).map(({ error_event, finished_at }) => [error_event, finished_at !== null])
  expect(events).toEqual(
    hasStarted
      ? [
          [0, true],
          [null, true],
        ]
      : [[null, true]],
  )
})

test('a worker queries at each cleanup: the first query leaves a job of a skiplocked owner locked', async () => {
  const [silent, orphan] = [await claimed(), await claimed({ lock_type: 2 })]
  const released = next('processes_released')
  await using _capsule = await world.start({ jobs: [Echo] })
  expect((await released)[0]).toMatchObject({ jobs: 1 })
  expect([await ownerOf(silent), await ownerOf(orphan)]).toEqual([expect.any(String), null])
})

test('a cleanup never treats its own process as dead, however old its row is', async () => {
  const own = randomUUID()
  await processRow({}, { id: own, updated_at: ago(900) })
  const id = await claimed({ locked_by_id: own })
  const cleaner = { now: new Date().toISOString(), notifies: false }
  expect(await releaseDeadProcesses(world.pool, facts, { ...cleaner, processId: own })).toEqual({
    ids: [],
    jobs: 0,
    promotedKeys: [],
  })
  expect(await ownerOf(id)).toBe(own)
  expect(await releaseDeadProcesses(world.pool, facts, { ...cleaner, processId: randomUUID() })).toEqual({
    ids: [own],
    jobs: 1,
    promotedKeys: [],
  })
})

const goodJob = (...args: string[]) => runCli(args, { env: { DATABASE_URL: world.url } })

test('doctor names a job that is locked by a process without a row at once, and jobs release unlocks it', async () => {
  const id = await claimed()
  await using _capsule = await world.start({ jobs: [Echo] })
  expect(await runJson(world.url, 'doctor')).toMatchObject({
    is_healthy: false,
    problems: ['1 job locked by a process that has no row'],
    abandoned_jobs: [{ id, job_class: 'Rubys' }],
  })
  expect((await goodJob('doctor')).stdout).toContain(`good-job jobs release ${id}`)
  expect(await goodJob('jobs', 'release', id)).toMatchObject({ code: 0 })
  expect(await world.job(id)).toMatchObject({ locked_by_id: null, locked_at: null })
  expect(await runJson(world.url, 'doctor')).toMatchObject({ abandoned_jobs: [] })
})

test('a job of a process with a row, a job with its advisory lock, and an unlocked job are not released', async () => {
  const [owned, held, free, ended] = [
    await claimed(),
    await claimed(),
    await world.insert(),
    await claimed({ finished_at: ago(1) }),
  ]
  await processRow({ hostname: 'web-1', pid: 7 }, { id: await ownerOf(owned) })
  const holder = await world.database.connect()
  await holder.query('SELECT pg_advisory_lock($1)', [advisoryKey(`good_jobs-${held}`)])
  await expect(world.adapter.releaseJob(owned)).rejects.toThrow('process web-1:7 has it')
  await expect(world.adapter.releaseJob(held)).rejects.toThrow('its advisory lock is held')
  await expect(world.adapter.releaseJob(free)).rejects.toThrow('no process has it')
  await expect(world.adapter.releaseJob(ended)).rejects.toThrow('it is finished')
  await expect(world.adapter.releaseJob(randomUUID())).rejects.toThrow('there is no job')
  await holder.end()
})
