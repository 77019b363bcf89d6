import type { Client } from 'pg'
import { type Contender, goodJobNode } from '../contenders.ts'
import { type Drained, drain } from '../drain.ts'
import { percentile } from '../figure.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import { addWaiting, fillTables, settle } from '../seed.ts'
import type { BenchDatabase } from '../server.ts'
import { scaled } from './depth.ts'
import { idle, SECONDS } from './idle.ts'
import { delaysOf } from './latency.ts'
import { firstMinute, isRuby, ruby } from './limits.ts'

const RULE = { keys: 1, performLimit: 1 } as const
const BLOCKED = 100_000
const JOBS = 80_000

/**
 * The oldest job of the key runs in another process, which does not expire: the key is full. To others it looks like any running job,
 * with the advisory lock of the session that executes this.
 */
const HOLD = `
WITH process AS (
  INSERT INTO good_job_processes (created_at, updated_at, state)
  VALUES (now() AT TIME ZONE 'UTC', (now() AT TIME ZONE 'UTC') + interval '1 year', '{"memory": 1, "proctitle": "x", "schedulers": []}')
  RETURNING id, created_at
),
held AS (
  UPDATE good_jobs
  SET performed_at = process.created_at, locked_at = process.created_at, locked_by_id = process.id, lock_type = 2, executions_count = 1
  FROM process
  WHERE good_jobs.id = (SELECT id FROM good_jobs WHERE job_class = 'LimitedNoopJob' ORDER BY created_at LIMIT 1)
  RETURNING good_jobs.id, process.id AS process_id, process.created_at
),
claim AS (
  INSERT INTO good_job_concurrency_claims (created_at, updated_at, job_id, locked_by_id, state, key)
  SELECT created_at, created_at, id, process_id, 1, 'key:bench-0' FROM held
)
SELECT pg_advisory_lock(('x' || substr(md5('good_jobs-' || id::text), 1, 16))::bit(64)::bigint) FROM held`

/** Jobs without a rule, and jobs of the full key, which are older and in the same queue. */
const fill =
  (blocked: number, jobs: number) =>
  (client: Client): Promise<void> =>
    fillTables(client, blocked + jobs, async () => {
      if (blocked > 0)
        await addWaiting(client, { jobs: blocked, jobClass: 'LimitedNoopJob', keys: 1, ageSeconds: 86_400 })
      if (jobs > 0) await addWaiting(client, { jobs })
    })

const openBlocked = async ({ server }: RunOptions, blocked: number, jobs: number): Promise<BenchDatabase> => {
  const database = await server.database(`${blocked} blocked, ${jobs} jobs`, fill(blocked, jobs))
  if (blocked > 0) await database.client.query(HOLD)
  await settle(database.client)
  return database
}

/** A worker that has the class of the blocked jobs, and how many of them wait. */
interface BlockedScene {
  readonly contender: Contender
  readonly blocked: number
}

const scenesOf = (options: RunOptions, contenders: readonly Contender[]): BlockedScene[] =>
  contenders.flatMap((contender) =>
    [0, scaled(BLOCKED, options)].map((blocked) => {
      const place = blocked === 0 ? 'alone' : 'beside blocked jobs'
      const text = blocked === 0 ? place : `beside ${blocked.toLocaleString('en')} blocked jobs`
      const name = `${contender.name}, ${text}`
      const key = { ...contender.key, place }
      const limited = { ...contender, name, key, family: place, options: { ...contender.options, rule: RULE } }
      return { contender: limited, blocked }
    }),
  )

const wantedOf = ({ contenders: wanted }: RunOptions, scenes: readonly BlockedScene[]): BlockedScene[] =>
  scenes.filter(({ contender }) => wanted.test(contender.name))

const measureRates = async (options: RunOptions) => {
  const jobs = scaled(JOBS, options)
  const scenes = wantedOf(options, scenesOf(options, [goodJobNode(10), goodJobNode(100), ruby()]))
  const collector = new Collector(options.say)
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const { contender, blocked } of scenes) {
      const open = () => openBlocked(options, blocked, jobs)
      const ran: Pick<Drained, 'jobs' | 'seconds'> = isRuby(contender)
        ? await firstMinute(options, contender, 'NoopJob', open)
        : await drain(options.server, contender, { jobs, database: open })
      collector.add(contender, round, { value: ran.jobs / ran.seconds, size: ran.jobs })
    }
  }
  return collector.series
}

const measureDelays = async (options: RunOptions) => {
  const scenes = wantedOf(options, scenesOf(options, [goodJobNode(10)]))
  const collector = new Collector(options.say)
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const { contender, blocked } of scenes) {
      const delays = await delaysOf(options, contender, { open: () => openBlocked(options, blocked, 0) })
      for (const [word, share] of [
        ['p50', 0.5],
        ['p99', 0.99],
      ] as const) {
        const key = { ...contender.key, percentile: word }
        const named = { name: `${contender.name}, ${word}`, key, family: word, x: 0 }
        collector.add(named, round, { value: percentile(delays, share), size: delays.length })
      }
    }
  }
  return collector.series
}

/** Jobs without a rule in the queue of jobs that have to wait. */
export const besideBlockedSuite: Suite = {
  name: 'limits-beside',
  group: 'limits',
  run: async (options) => [
    {
      id: 'limits-beside',
      title: 'Jobs without a rule in a queue with blocked jobs',
      unit: 'jobs/s',
      series: await measureRates(options),
    },
    {
      id: 'limits-latency',
      title: 'From the call that enqueues to the start of the job, beside blocked jobs',
      unit: 'ms',
      series: await measureDelays(options),
    },
  ],
}

/** A worker that has nothing to do but to leave jobs alone. */
export const idleBlockedSuite: Suite = {
  name: 'limits-idle',
  group: 'limits',
  run: async (options) => {
    const transactions = new Collector(options.say)
    const cpu = new Collector(options.say)
    const scenes = wantedOf(options, scenesOf(options, [goodJobNode(5), ruby()]))
    for (let round = 1; round <= options.rounds; round += 1) {
      for (const { contender, blocked } of scenes) {
        const idled = await idle(options, contender, () => openBlocked(options, blocked, 0))
        transactions.add(contender, round, { value: idled.transactionsPerSecond, size: SECONDS })
        cpu.add(contender, round, { value: idled.cpuSeconds, size: SECONDS })
      }
    }
    return [
      {
        id: 'limits-idle-transactions',
        title: 'Worker that only leaves blocked jobs alone: transactions',
        unit: 'transactions/s',
        series: transactions.series,
      },
      { id: 'limits-idle-cpu', title: `The same: CPU in ${SECONDS} s`, unit: 's', series: cpu.series },
    ]
  },
}
