import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import type { Client } from 'pg'
import { parseSelector } from '../../src/claim/queue-string.ts'
import { Database } from '../../src/sql/database.ts'
import { type ClaimOptions, claim } from '../../src/sql/jobs-claim.ts'
import type { Queryable } from '../../src/sql/types.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import { goodJobsWaiting, type Waiting } from '../seed.ts'

const PLANS = new URL('../../docs/performance/plans.txt', import.meta.url)
const LIMIT = 100
/** The lane's own (src/claim/lane.ts). */
const LANE = `SET TimeZone = 'UTC'; SET enable_seqscan = off; SET plan_cache_mode = force_custom_plan; SET jit = off`

interface PlanNode {
  readonly 'Node Type': string
  readonly 'Relation Name'?: string
  readonly 'Index Name'?: string
  readonly 'Actual Rows': number
  readonly 'Actual Loops': number
  readonly 'Rows Removed by Filter'?: number
  readonly 'Rows Removed by Index Recheck'?: number
  readonly 'Shared Hit Blocks'?: number
  readonly 'Shared Read Blocks'?: number
  readonly Plans?: readonly PlanNode[]
}

interface Explained {
  readonly Plan: PlanNode
  readonly 'Execution Time': number
}

/** The claim of a worker of these queues. */
interface Scene {
  readonly name: string
  readonly queues: string
  readonly place: 'ours' | 'behind foreign classes'
}

const SCENES: readonly Scene[] = [
  { name: 'all queues', queues: '*', place: 'ours' },
  { name: 'one queue', queues: 'low', place: 'ours' },
  { name: 'several queues', queues: 'low,high', place: 'ours' },
  { name: 'ordered queues', queues: '+low,high', place: 'ours' },
  { name: 'excluded queue', queues: '-bench', place: 'ours' },
  { name: 'all queues, behind foreign classes', queues: '*', place: 'behind foreign classes' },
  { name: 'one queue, behind foreign classes in it', queues: 'bench', place: 'behind foreign classes' },
]

const placesOf = (jobs: number): Record<Scene['place'], readonly Waiting[]> => ({
  ours: [
    { jobs: jobs * 0.6, queue: 'bench', ageSeconds: 86_400 },
    { jobs: jobs * 0.2, queue: 'low' },
    { jobs: jobs * 0.2, queue: 'high' },
  ],
  'behind foreign classes': [{ jobs: jobs * 0.97, jobClass: 'ForeignJob', ageSeconds: 86_400 }, { jobs: jobs * 0.03 }],
})

/** Runs the worker's own claim as EXPLAIN, in a transaction that is undone. */
const explainClaim = async (
  client: Client,
  url: string,
  queues: string,
): Promise<{ explained: Explained; text: string }> => {
  const database = new Database({ databaseUrl: url })
  const facts = await database.facts()
  await database.close()
  const now = new Date().toISOString()
  const options: ClaimOptions = {
    selector: parseSelector(queues),
    jobClasses: ['NoopJob'],
    sort: 'created_at',
    selectLimit: 1_000,
    limit: LIMIT,
    processId: randomUUID(),
    now,
    dueUntil: now,
    runningIds: [],
    releaseKeys: [],
  }
  const explain = async (format: string): Promise<unknown[]> => {
    const lines: unknown[] = []
    const spy = {
      query: async ({ text, values = [] }: { text: string; values?: unknown[] }) => {
        await client.query('BEGIN')
        const { rows } = await client.query({
          text: `EXPLAIN (ANALYZE, BUFFERS, FORMAT ${format}) ${text}`,
          values,
        })
        await client.query('ROLLBACK')
        await client.query('SELECT pg_advisory_unlock_all()')
        lines.push(...rows.map((row) => row['QUERY PLAN']))
        return { rows: [], rowCount: 0 }
      },
    } as unknown as Queryable
    await claim(spy, facts, options)
    return lines
  }
  await client.query(LANE)
  await explain('JSON') // Warms the cache.
  const [[explained]] = (await explain('JSON')) as [[Explained]]
  return { explained, text: (await explain('TEXT')).join('\n') }
}

/** Rows that the scan for candidates touched, and its index. */
const readOf = (node: PlanNode): { rows: number; index: string } => {
  const scans = scansOf(node)
  // The candidates are the only scan of good_jobs that is not by primary key.
  const candidates = scans.filter((scan) => scan['Index Name'] !== 'good_jobs_pkey')
  const rows = candidates.reduce(
    (total, scan) =>
      total +
      (scan['Actual Rows'] + (scan['Rows Removed by Filter'] ?? 0) + (scan['Rows Removed by Index Recheck'] ?? 0)) *
        scan['Actual Loops'],
    0,
  )
  return { rows, index: [...new Set(candidates.map((scan) => scan['Index Name'] ?? 'whole table'))].join(', ') }
}

const scansOf = (node: PlanNode): PlanNode[] => [
  ...(node['Relation Name'] === 'good_jobs' && node['Node Type'].includes('Scan') ? [node] : []),
  ...(node.Plans ?? []).flatMap(scansOf),
]

/** Rows read for each claim of 100 jobs, by what the worker asks for. */
export const plansSuite: Suite = {
  name: 'plans',
  run: async (options: RunOptions) => {
    const { server, say } = options
    const places = placesOf(Math.max(10_000, Math.round(1_000_000 * options.scale)))
    const read = new Collector(say)
    const texts: string[] = []
    for (const { name, queues, place } of SCENES) {
      const database = await server.database(`plans ${place}`, goodJobsWaiting(...places[place]))
      const { explained, text } = await explainClaim(database.client, database.url, queues)
      const { rows, index } = readOf(explained.Plan)
      const blocks = (explained.Plan['Shared Hit Blocks'] ?? 0) + (explained.Plan['Shared Read Blocks'] ?? 0)
      const note = `${explained['Execution Time'].toFixed(1)} ms, ${blocks} blocks, ${index}`
      read.add({ name: `${name} ("${queues}")`, family: place, x: 0 }, 1, { value: rows, size: LIMIT, note })
      texts.push(`-- ${name}: --queues "${queues}"; ${Math.round(rows)} rows read, ${note}\n\n${text}\n`)
      await database.drop()
    }
    if (options.isWritten) {
      await mkdir(new URL('.', PLANS), { recursive: true })
      await writeFile(PLANS, texts.join('\n\n'))
    }
    return [
      {
        id: 'plans',
        title: `Rows that a claim of ${LIMIT} jobs reads, of a million`,
        unit: 'rows',
        series: read.series,
      },
    ]
  },
}
