import { randomUUID } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { type Client, escapeLiteral } from 'pg'
import { laneSettings } from '../../src/claim/lane-settings.ts'
import { findOtherQueues } from '../../src/claim/named-queues.ts'
import { parseSelector } from '../../src/claim/queue-string.ts'
import { type ClaimOptions, claim } from '../../src/sql/claim/claim.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import { Database, type Facts } from '../../src/sql/database.ts'
import { CLASS_INDEXES } from '../../src/sql/schema/class-indexes.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import { createClassIndexAtOnce, goodJobsWaiting, type Waiting } from '../seed.ts'

const PLANS = new URL('../../.tmp/plans.txt', import.meta.url)
const LIMIT = 100

/** $1 queues text[] */
const FIRST_OF_OURS = `
SELECT queue_name, priority, to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at
FROM good_jobs
WHERE job_class = 'NoopJob' AND queue_name = ANY ($1::text[])
ORDER BY array_position($1::text[], queue_name), created_at
LIMIT 1`

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
  /** Other rows in the tables, as part of the key of the series. @default nothing */
  readonly variation?: 'one paused' | 'class index'
  /** It serves all queues but 'bench'. */
  readonly hasUnserved?: boolean
  /** Statement that changes the tables first. */
  readonly change?: string
}

const PAUSED = `
INSERT INTO good_job_settings (key, value, created_at, updated_at)
VALUES ('pauses', '{"queues": ["bench"], "job_classes": ["OtherJob"], "labels": []}', now(), now())`

const FOREIGN = [
  { name: 'all queues, behind foreign classes', queues: '*', place: 'behind foreign classes' },
  { name: 'one queue, behind foreign classes in it', queues: 'bench', place: 'behind foreign classes' },
] as const

const SCENES: readonly Scene[] = [
  { name: 'all queues', queues: '*', place: 'ours' },
  { name: 'one queue', queues: 'low', place: 'ours' },
  { name: 'several queues', queues: 'low,high', place: 'ours' },
  { name: 'ordered queues', queues: '+low,high', place: 'ours' },
  { name: 'excluded queue', queues: '-bench', place: 'ours', hasUnserved: true },
  {
    name: 'all queues, one paused',
    queues: '*',
    place: 'ours',
    hasUnserved: true,
    variation: 'one paused',
    change: PAUSED,
  },
  ...FOREIGN,
  ...FOREIGN.map((scene) => ({
    ...scene,
    name: `${scene.name}, with the index that doctor proposes`,
    variation: 'class index' as const,
    change: `${createClassIndexAtOnce(scene.queues === '*' ? CLASS_INDEXES.everyQueue : CLASS_INDEXES.namedQueue)} ANALYZE good_jobs`,
  })),
]

const placesOf = (jobs: number): Record<Scene['place'], readonly Waiting[]> => ({
  ours: [
    { jobs: jobs * 0.6, queue: 'bench', ageSeconds: 86_400 },
    { jobs: jobs * 0.2, queue: 'low' },
    { jobs: jobs * 0.2, queue: 'high' },
  ],
  'behind foreign classes': [{ jobs: jobs * 0.97, jobClass: 'ForeignJob', ageSeconds: 86_400 }, { jobs: jobs * 0.03 }],
})

/** Where the claims of a worker begin after a while, and its queries after a wake-up. */
type Query = Pick<ClaimOptions, 'from' | 'newlyDue'> & Partial<Pick<ClaimOptions, 'selector'>>

/** Where a claim can begin, and how the table calls it. */
const STARTS = {
  head: 'the head',
  'head, queues named': 'the head, queues named',
  position: 'the position',
  'newly due': 'newly due',
} as const

const looksOf = async (
  client: Client,
  { queues, hasUnserved }: Scene,
): Promise<readonly (readonly [keyof typeof STARTS, Query])[]> => {
  const { rows } = await client.query<{ queue_name: string; priority: number; at: string }>(FIRST_OF_OURS, [
    queues === '-bench' ? ['low'] : queues === 'bench' ? ['bench'] : ['low', 'bench'],
  ])
  const [first] = rows
  if (first === undefined) throw new Error(`no job for ${queues}`)
  const position = { queueName: first.queue_name, priority: first.priority, at: first.at }
  const others = hasUnserved ? await findOtherQueues(client, new Set(['bench'])) : undefined
  return [
    ['head', {}],
    ...(others === undefined ? [] : [['head, queues named', { selector: others }] as const]),
    ['position', { from: position }],
    ['newly due', { newlyDue: { after: new Date(Date.now() - MINUTE_MS).toISOString(), before: position } }],
  ]
}

const MINUTE_MS = 60_000

/** Runs the worker's own claim as EXPLAIN, planned once as on its session, in a transaction that is undone. */
const explainClaim = async (client: Client, facts: Facts, queues: string, look: Query): Promise<Explanation> => {
  const now = new Date().toISOString()
  const options: ClaimOptions = {
    selector: parseSelector(queues),
    ...look,
    jobClasses: ['NoopJob'],
    sort: 'created_at',
    honoursPauses: true,
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
        await client.query(`PREPARE claim_jobs AS ${text}`)
        await client.query('BEGIN')
        const { rows } = await client.query(
          `EXPLAIN (ANALYZE, BUFFERS, FORMAT ${format}) EXECUTE claim_jobs (${values.map(literal).join(', ')})`,
        )
        await client.query('ROLLBACK; DEALLOCATE claim_jobs')
        await client.query('SELECT pg_advisory_unlock_all()')
        lines.push(...rows.map((row) => row['QUERY PLAN']))
        return { rows: [], rowCount: 0 }
      },
    } as unknown as Queryable
    await claim(spy, facts, options)
    return lines
  }
  await explain('JSON') // Warms the cache.
  const [[explained]] = (await explain('JSON')) as [[Explained]]
  return { explained, text: (await explain('TEXT')).join('\n') }
}

interface Explanation {
  readonly explained: Explained
  readonly text: string
}

const literal = (value: unknown): string => {
  if (value === null) return 'NULL'
  if (!Array.isArray(value)) return escapeLiteral(String(value))
  return escapeLiteral(`{${value.map((member) => JSON.stringify(String(member))).join(',')}}`)
}

const BY_ID = ['good_jobs_pkey', 'index_good_jobs_on_unfinished_or_errored']

/** Rows that the scan for candidates touched, and its index. */
const readOf = (node: PlanNode): { rows: number; index: string } => {
  const scans = scansOf(node)
  // Rows read by id were found by the scan before.
  const candidates = scans.filter((scan) => !BY_ID.includes(scan['Index Name'] ?? ''))
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

/** Rows read for each claim of 100 jobs, by what the worker asks for and where the claim begins. */
export const plansSuite: Suite = {
  name: 'plans',
  run: async (options: RunOptions) => {
    const { server, say } = options
    const places = placesOf(Math.max(10_000, Math.round(1_000_000 * options.scale)))
    const read = new Collector(say)
    const texts: string[] = []
    for (const scene of SCENES) {
      const { name, queues, place, variation, change } = scene
      const database = await server.database(`plans ${place}`, goodJobsWaiting(...places[place]))
      const { client } = database
      if (change !== undefined) await client.query(change)
      for (const [setting, value] of Object.entries(laneSettings('created_at')))
        await client.query('SELECT set_config($1, $2, false)', [setting, value])
      const facts = await factsOf(database.url)
      for (const [from, look] of await looksOf(client, scene)) {
        const { explained, text } = await explainClaim(client, facts, queues, look)
        const { rows, index } = readOf(explained.Plan)
        const blocks = (explained.Plan['Shared Hit Blocks'] ?? 0) + (explained.Plan['Shared Read Blocks'] ?? 0)
        const note = `${explained['Execution Time'].toFixed(1)} ms, ${blocks} blocks, ${index}`
        const start = STARTS[from]
        const key = { queues, place: variation === undefined ? place : `${place}, ${variation}`, from }
        const named = { name: `${name} ("${queues}"), ${start}`, key, family: start, x: 0 }
        read.add(named, 1, { value: rows, size: LIMIT, note })
        texts.push(`-- ${name}, ${start}: --queues "${queues}"; ${Math.round(rows)} rows read, ${note}\n\n${text}\n`)
      }
      await database.drop()
    }
    if (options.isWritten) {
      await mkdir(new URL('.', PLANS), { recursive: true })
      await writeFile(PLANS, texts.join('\n\n'))
    }
    const title = `Rows of good_jobs that a claim of ${LIMIT} jobs reads, of a million`
    return [{ id: 'plans', title, unit: 'rows', series: read.series }]
  },
}

const factsOf = async (databaseUrl: string): Promise<Facts> => {
  const database = new Database({ databaseUrl })
  const facts = await database.facts()
  await database.close()
  return facts
}
