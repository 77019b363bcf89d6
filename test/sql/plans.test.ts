import { afterAll, expect, test } from 'vitest'
import { laneSession } from '../../src/claim/lane-settings.ts'
import { claim } from '../../src/sql/claim/claim.ts'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import { Database } from '../../src/sql/database.ts'
import { finishLockedJobs, startLockedJobs } from '../../src/sql/deferred/statements.ts'
import { deleteJobs, finishJobs, rerunJobs } from '../../src/sql/outcome/outcomes.ts'
import { systemClock } from '../../src/time.ts'
import { openWorld } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())

const PROCESS_ID = '00000000-0000-4000-8000-00000000c1a2'

interface Plan {
  readonly 'Node Type': string
  readonly Alias?: string
  readonly 'Relation Name'?: string
  readonly 'Index Cond'?: string
  readonly 'Parent Relationship'?: string
  readonly Plans?: readonly Plan[]
}

/** The nodes that read a table. */
const scansOf = (plan: Plan): Plan[] => [
  ...(plan['Node Type'].endsWith('Scan') && plan['Relation Name'] !== undefined ? [plan] : []),
  ...(plan.Plans ?? []).flatMap(scansOf),
]

/** An EXISTS over a whole table ends at its first row. */
const asksWhetherEmpty = (scan: Plan): boolean =>
  scan['Relation Name'] === 'good_job_concurrency_claims' && scan['Parent Relationship'] === 'InitPlan'

test('statements prepared over empty tables use index scans on their keys', async () => {
  const database = new Database({ databaseUrl: world.url })
  const session = laneSession(database, { sort: 'created_at', createConnection: pgConnection, onLost: () => undefined })
  await session.connect()
  // Vacuumed tables count as empty; tables without statistics count as a few pages.
  await world.sql('VACUUM ANALYZE good_jobs, good_job_executions')
  const facts = await database.facts()
  const now = systemClock.timestamp()
  await claim(session, facts, {
    selector: { kind: 'all' },
    jobClasses: ['EchoJob'],
    sort: 'created_at',
    selectLimit: 1000,
    limit: 10,
    now,
    dueUntil: now,
    processId: PROCESS_ID,
    runningIds: [],
    releaseKeys: [],
  })
  const writer = { processId: PROCESS_ID, now }
  for (const write of [finishJobs, rerunJobs, deleteJobs]) await write(session, facts, writer, [])
  const { text, values = [], name = '' } = startLockedJobs(facts, writer)
  await session.query({ name, text, values: [...values, [], [], []] })
  await session.query(finishLockedJobs(facts, [], writer))

  const { rows: statements } = await session.query<{ name: string; parameters: number }>({
    text: 'SELECT name, cardinality(parameter_types) AS parameters FROM pg_prepared_statements',
  })
  expect(statements).toHaveLength(6)
  for (const { name, parameters } of statements) {
    const nulls = Array.from({ length: parameters }, () => 'NULL').join(', ')
    const { rows } = await session.query({ text: `EXPLAIN (FORMAT JSON) EXECUTE "${name}"(${nulls})` })
    const scans = scansOf(rows[0]?.['QUERY PLAN'][0].Plan)
    // The candidates of a claim are read in order, from the head of the queue on.
    const unkeyed = scans
      .filter((scan) => scan['Index Cond'] === undefined && !asksWhetherEmpty(scan))
      .map(({ Alias }) => Alias)
    expect({ name, unkeyed }).toEqual({ name, unkeyed: name.startsWith('claim') ? ['good_jobs'] : [] })
    expect(scans).not.toEqual([])
  }
  await session.close()
  await database.close()
})
