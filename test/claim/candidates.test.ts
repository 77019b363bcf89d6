import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { Lane } from '../../src/claim/lane.ts'
import { parseSelector } from '../../src/claim/queue-string.ts'
import type { Position, QueueSelector } from '../../src/sql/claim/candidates.ts'
import { claim } from '../../src/sql/claim/claim.ts'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { Database } from '../../src/sql/database.ts'
import { createClock } from '../../src/time.ts'
import { openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const clock = createClock()
const PROCESS_ID = '00000000-0000-4000-8000-00000000c1a1'
const SORTS = ['created_at', 'scheduled_at'] as const
type Sort = (typeof SORTS)[number]

interface JobRow {
  readonly id: string
  readonly queue_name: string | null
  readonly priority: number | null
  readonly created_at: string
  readonly scheduled_at: string
}

/** Slots of time: every row has one of its own, so that the order by creation is total. */
const instant = (slot: number) => new Date(Date.UTC(2025, 0, 1) + slot * 1000).toISOString()

const job = fc.record({
  queue: fc.constantFrom('a', 'a', 'b', 'c', '', null),
  priority: fc.constantFrom(null, -5, 0, 0, 0, 7),
  jobClass: fc.constantFrom('EchoJob', 'EchoJob', 'EchoJob', 'OtherJob', 'Ruby::OnlyJob', null),
  state: fc.constantFrom('waiting', 'waiting', 'waiting', 'waiting', 'finished', 'owned', 'future', 'unscheduled'),
  created: fc.nat(1_000_000),
  scheduled: fc.nat(20),
})
const scenario = fc.record({
  jobs: fc.uniqueArray(job, { selector: ({ created }) => created, minLength: 5, maxLength: 60 }),
  queues: fc.constantFrom(
    '*',
    'a',
    'b,a',
    'a,nowhere,c',
    'a,a',
    '+c,a',
    '+a,b,c',
    '+nowhere,b',
    '-a',
    '-a,c',
    '+',
    'zzz',
  ),
  classes: fc.constantFrom(['EchoJob'], ['EchoJob', 'OtherJob']),
  limits: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 4 }),
  sort: fc.constantFrom(...SORTS),
  begin: fc.option(fc.nat(59), { nil: undefined }),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer S> ? S : never

const scheduledAt = ({ state, scheduled }: Scenario['jobs'][number]): string | null => {
  if (state === 'unscheduled') return null
  return state === 'future' ? '2999-01-01T00:00:00Z' : instant(scheduled)
}

const fill = async (jobs: Scenario['jobs']) => {
  await world.sql('TRUNCATE good_jobs, good_job_executions')
  await world.sql(
    `INSERT INTO good_jobs (queue_name, priority, job_class, serialized_params, created_at, updated_at, scheduled_at, finished_at, locked_by_id)
     SELECT queue, priority, "jobClass", '{}', "createdAt", "createdAt", "scheduledAt",
       CASE WHEN state = 'finished' THEN "createdAt" END, CASE WHEN state = 'owned' THEN gen_random_uuid() END
     FROM jsonb_to_recordset($1::jsonb)
       AS job(queue text, priority int, "jobClass" text, state text, "createdAt" timestamp, "scheduledAt" timestamp)`,
    [
      JSON.stringify(
        jobs.map((row) => ({
          ...row,
          createdAt: instant(row.created),
          scheduledAt: scheduledAt(row),
        })),
      ),
    ],
  )
}

/** The claimable jobs in order, as the simplest possible query. */
const reference = (selector: QueueSelector, classes: readonly string[], sort: Sort): Promise<JobRow[]> => {
  const queues = selector.kind === 'all' ? [] : selector.queues
  const isOrdered = selector.kind === 'include' && selector.isOrdered
  return world.sql<JobRow & Record<string, unknown>>(
    `SELECT id, queue_name, priority, to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at,
       to_char(scheduled_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS scheduled_at
     FROM good_jobs
     WHERE finished_at IS NULL AND locked_by_id IS NULL AND scheduled_at <= now() AND job_class = ANY ($1)
       AND CASE $2 WHEN 'all' THEN true WHEN 'include' THEN coalesce(queue_name = ANY ($3), false) ELSE coalesce(queue_name <> ALL ($3), true) END
     ORDER BY CASE WHEN $4 THEN array_position($3, queue_name) END, priority ASC NULLS LAST, ${sort === 'created_at' ? 'created_at' : 'scheduled_at, id'}`,
    [classes, selector.kind, queues, isOrdered],
  )
}

const positionOf = (row: JobRow | undefined, sort: Sort): Position | undefined =>
  row?.priority == null ? undefined : { queueName: row.queue_name, priority: row.priority, at: row[sort] }

/** Jobs from a position on; in queues that are served in turn, those of later queues whole. */
const notBefore = (
  rows: readonly JobRow[],
  from: Position | undefined,
  selector: QueueSelector,
  sort: Sort,
): JobRow[] => {
  if (from === undefined) return [...rows]
  const queues = selector.kind === 'include' && selector.isOrdered ? selector.queues : []
  const turn = (name: string | null) => queues.indexOf(name ?? '')
  return rows.filter((row) => {
    if (turn(row.queue_name) !== turn(from.queueName)) return turn(row.queue_name) > turn(from.queueName)
    if (row.priority === null) return false
    return row.priority > from.priority || (row.priority === from.priority && row[sort] >= from.at)
  })
}

/** Jobs that sort before a position; in queues that are served in turn, also those of earlier queues. */
const before = (
  rows: readonly JobRow[],
  end: Position | undefined,
  selector: QueueSelector,
  sort: Sort,
): readonly JobRow[] => {
  if (end === undefined) return rows
  const queues = selector.kind === 'include' && selector.isOrdered ? selector.queues : []
  const turn = (name: string | null) => queues.indexOf(name ?? '')
  return rows.filter((row) => {
    if (turn(row.queue_name) !== turn(end.queueName)) return turn(row.queue_name) < turn(end.queueName)
    if (row.priority === null) return false
    return row.priority < end.priority || (row.priority === end.priority && row[sort] < end.at)
  })
}

/** Runs with a lane for each order. */
const withLanes = async (run: (lanes: Record<Sort, Lane>) => Promise<void>): Promise<void> => {
  const database = new Database({ databaseUrl: world.url })
  const options = { database, processId: PROCESS_ID, deferStartMs: 0, onClaimsLost: () => {}, onReady: () => {} }
  const lanes = {
    created_at: new Lane({ ...options, sort: 'created_at' }, pgConnection),
    scheduled_at: new Lane({ ...options, sort: 'scheduled_at' }, pgConnection),
  }
  for (const lane of Object.values(lanes)) await lane.connect()
  await run(lanes)
  for (const lane of Object.values(lanes)) await lane.close()
  await database.close()
}

test('a lane claims exactly the jobs that a plain query finds, in the same order, from any position on [GJ-037, GJ-038, GJ-039]', async () => {
  await withLanes(async (lanes) => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ jobs, queues, classes, limits, sort, begin }) => {
        await fill(jobs)
        const selector = parseSelector(queues)
        const all = await reference(selector, classes, sort)
        const from = begin === undefined ? undefined : positionOf(all[begin % Math.max(all.length, 1)], sort)
        const waiting = notBefore(all, from, selector, sort)
        const lane = lanes[sort]
        const claimed: { id: string; lockedAt: string }[] = []
        for (const limit of limits) {
          const now = clock.timestamp()
          const options = { selector, jobClasses: classes, sort, selectLimit: 1000, limit, from, now, dueUntil: now }
          const { rows } = await lane.claim(() => options)
          expect(rows.map(({ id }) => id)).toEqual(waiting.splice(0, limit).map(({ id }) => id))
          claimed.push(...rows.map(({ id }) => ({ id, lockedAt: now })))
        }
        const [locks] = await world.sql(
          `SELECT count(*)::int AS n FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        )
        expect(locks).toEqual({ n: claimed.length })
        await Promise.all(claimed.map((claim) => lane.release(claim)))
      }),
      { numRuns: Number(process.env.CLAIM_RUNS ?? 80) },
    )
  })
})

test('a lane claims exactly the jobs that became due after a given time, or at any time, and sort before a position, in that order', async () => {
  const scene = fc.record({ scenario, after: fc.option(fc.integer({ min: -1, max: 20 }), { nil: undefined }) })
  await withLanes(async (lanes) => {
    await fc.assert(
      fc.asyncProperty(scene, async ({ scenario: { jobs, queues, classes, limits, sort, begin }, after }) => {
        await fill(jobs)
        const selector = parseSelector(queues)
        const all = await reference(selector, classes, sort)
        const position = begin === undefined ? undefined : positionOf(all[begin % Math.max(all.length, 1)], sort)
        const since = after === undefined ? undefined : instant(after)
        const newlyDue = { after: since, before: position }
        const waiting = before(all, position, selector, sort).filter(
          (row) => since === undefined || Date.parse(row.scheduled_at) > Date.parse(since),
        )
        const claimed: { id: string; lockedAt: string }[] = []
        for (const limit of limits) {
          const now = clock.timestamp()
          const options = {
            selector,
            jobClasses: classes,
            sort,
            selectLimit: 1000,
            limit,
            newlyDue,
            now,
            dueUntil: now,
          }
          const { rows } = await lanes[sort].claim(() => options)
          expect(rows.map(({ id }) => id)).toEqual(waiting.splice(0, limit).map(({ id }) => id))
          claimed.push(...rows.map(({ id }) => ({ id, lockedAt: now })))
        }
        await Promise.all(claimed.map((claim) => lanes[sort].release(claim)))
      }),
      { numRuns: Number(process.env.CLAIM_RUNS ?? 80) },
    )
  })
})

test('claim limits above queueSelectLimit lead to few prepared statements', async () => {
  const session = await world.database.connect()
  const facts = await world.adapter.database.facts()
  for (let limit = 1; limit <= 33; limit++) {
    const now = clock.timestamp()
    const options = { selector: { kind: 'all' }, jobClasses: ['EchoJob'], sort: 'created_at', dueUntil: now } as const
    const claimed = { processId: PROCESS_ID, now, runningIds: [], releaseKeys: [] }
    await claim(session as Queryable, facts, { ...options, ...claimed, selectLimit: 4, limit })
  }
  const { rows } = await session.query(
    `SELECT statement ~ 'LIMIT (4|8|16|32|64)\\s' AS is_power FROM pg_prepared_statements`,
  )
  expect(rows).toEqual(Array(5).fill({ is_power: true }))
})
