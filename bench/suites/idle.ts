import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'pg'
import type { Usage } from '../child.ts'
import { type Contender, goodJobNode, goodJobRuby, graphileDefault, pgBossNotify } from '../contenders.ts'
import { bootWorker } from '../drain.ts'
import { Collector, type RunOptions, type Suite } from '../run.ts'
import type { BenchDatabase } from '../server.ts'

export const SECONDS = 30
/** A start has costs of its own, and an idle backend reports its transactions only after ten seconds. */
const SETTLE_MS = 25_000

const contenders = (): Contender[] => [goodJobNode(5), graphileDefault(10), pgBossNotify(), goodJobRuby('advisory')]

export interface Idled extends Usage {
  readonly transactionsPerSecond: number
}

/** Commits and rollbacks of all sessions in this database. */
const transactions = async (client: Client): Promise<number> => {
  await client.query('SELECT pg_stat_clear_snapshot()')
  const { rows } = await client.query<{ count: number }>(
    'SELECT (xact_commit + xact_rollback)::float8 AS count FROM pg_stat_database WHERE datname = current_database()',
  )
  return rows[0]?.count ?? Number.NaN
}

/** Statements that `transactions` itself runs between its two readings. */
const OWN_TRANSACTIONS = 2

/** What a worker does that finds nothing to run in the tables that `open` opens. */
export const idle = async (
  { scale }: RunOptions,
  contender: Contender,
  open: () => Promise<BenchDatabase>,
): Promise<Idled> => {
  const database = await open()
  const worker = await bootWorker(contender, database.url)
  await worker.start()
  await sleep(SETTLE_MS)
  const seconds = Math.max(5, SECONDS * Math.min(1, scale))
  const before = { count: await transactions(database.client), usage: await worker.usage() }
  await sleep(seconds * 1000)
  const after = { count: await transactions(database.client), usage: await worker.usage() }
  await worker.stop()
  await database.drop()
  return {
    transactionsPerSecond: Math.max(0, after.count - before.count - OWN_TRANSACTIONS) / seconds,
    cpuSeconds: after.usage.cpuSeconds - before.usage.cpuSeconds,
    rssMb: after.usage.rssMb,
  }
}

/** All of them at the same time, each on a database of its own: they only wait. */
export const idleSuite: Suite = {
  name: 'idle',
  run: async (options) => {
    const figures = {
      transactionsPerSecond: {
        title: 'Idle worker: transactions',
        unit: 'transactions/s',
        collector: new Collector(options.say),
      },
      cpuSeconds: { title: `Idle worker: CPU in ${SECONDS} s`, unit: 's', collector: new Collector(options.say) },
      rssMb: { title: 'Idle worker: memory of the process', unit: 'MB', collector: new Collector(options.say) },
    }
    const wanted = contenders().filter(({ name }) => options.contenders.test(name))
    for (let round = 1; round <= options.rounds; round += 1) {
      const idled = await Promise.all(
        wanted.map((contender) => {
          const { tables } = contender
          return idle(options, contender, () => options.server.database(`${tables.name} 0`, tables.waiting(0)))
        }),
      )
      for (const [index, contender] of wanted.entries()) {
        for (const [what, { collector }] of Object.entries(figures))
          collector.add(contender, round, { value: idled[index]?.[what as keyof Idled] ?? Number.NaN, size: SECONDS })
      }
    }
    return Object.entries(figures).map(([what, { title, unit, collector }]) => ({
      id: `idle-${what === 'transactionsPerSecond' ? 'transactions' : what === 'cpuSeconds' ? 'cpu' : 'memory'}`,
      title,
      unit,
      series: collector.series,
    }))
  },
}
