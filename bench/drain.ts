import { setTimeout as sleep } from 'node:timers/promises'
import { Child, type WorkerProcess } from './child.ts'
import type { Contender } from './contenders.ts'
import { RubyWorker } from './ruby.ts'
import type { BenchDatabase, BenchServer } from './server.ts'
import { serverCpuSeconds } from './server-cpu.ts'
import { sharedNow } from './workers/spec.ts'

export interface DrainOptions {
  readonly jobs: number
  /** Milliseconds that each job waits. @default 0 */
  readonly jobMs?: number
  /** Worker processes. @default 1 */
  readonly processes?: number
  /** The database, where it is not one with as many jobs as run. */
  readonly database?: () => Promise<BenchDatabase>
  /** The number of measured jobs, if more wait: the time ends when this number has run. */
  readonly isPartial?: boolean
}

/** The cost of one drain. */
export interface Drained {
  readonly jobs: number
  readonly seconds: number
  /** CPU seconds of the worker processes, from before the start to after the end. */
  readonly cpuSeconds: number
  /** CPU seconds of the Postgres server meanwhile; not a number for a server on another machine. */
  readonly serverCpuSeconds: number
  readonly peakRssMb: number
}

const LOOK_MS = 10
const NEVER_ENDS_MS = 900_000

/**
 * Lets a contender work until nothing is left. The time runs from the start of the first job to the moment at which the
 * tables show that nothing is left: booting and connecting do not count, writing the last outcome does.
 */
export const drain = async (server: BenchServer, contender: Contender, options: DrainOptions): Promise<Drained> => {
  const { jobs, jobMs = 0, processes = 1, isPartial = false } = options
  const { tables } = contender
  const database = await (options.database?.() ?? server.database(`${tables.name} ${jobs}`, tables.waiting(jobs)))
  const children = await Promise.all(
    Array.from({ length: processes }, () => bootWorker(contender, database.url, jobMs)),
  )
  try {
    const before = await Promise.all(children.map((child) => child.usage()))
    const serverBefore = await serverCpuSeconds(database.client)
    await Promise.all(children.map((child) => child.start()))
    const peakRssMb = await untilRun(children, jobs)
    const ran = sum(children.map(({ count }) => count))
    if (!isPartial) await untilNothingLeft(database, tables.left)
    const endedAt = isPartial ? Math.max(...children.map(({ at }) => at)) : sharedNow()
    const seconds = (endedAt - Math.min(...children.map(({ firstAt }) => firstAt))) / 1000
    const after = await Promise.all(children.map((child) => child.usage()))
    const cpuSeconds = sum(after.map((usage) => usage.cpuSeconds)) - sum(before.map((usage) => usage.cpuSeconds))
    const serverCpu = (await serverCpuSeconds(database.client)) - serverBefore
    await Promise.all(children.map((child) => child.stop()))
    return { jobs: ran, seconds, cpuSeconds, serverCpuSeconds: serverCpu, peakRssMb }
  } catch (error) {
    for (const child of children) child.kill()
    throw error
  } finally {
    await database.drop()
  }
}

/** A process of a contender, ready to start. */
export const bootWorker = (contender: Contender, databaseUrl: string, jobMs = 0): Promise<WorkerProcess> => {
  const { module, options } = contender
  if (module === undefined) return RubyWorker.boot(databaseUrl, options)
  return Child.boot({ module, databaseUrl, jobMs, options })
}

/** The processes report how many jobs ran, so that no query disturbs the database. Returns the largest RSS seen. */
const untilRun = async (children: readonly WorkerProcess[], jobs: number): Promise<number> => {
  const deadline = sharedNow() + NEVER_ENDS_MS
  let peakRssMb = 0
  for (let look = 0; sum(children.map(({ count }) => count)) < jobs; look += 1) {
    if (sharedNow() > deadline) throw new Error(`${sum(children.map(({ count }) => count))} of ${jobs} jobs ran`)
    if (look % 20 === 0) {
      const usages = await Promise.all(children.map((child) => child.usage()))
      peakRssMb = Math.max(peakRssMb, ...usages.map((usage) => usage.rssMb))
    }
    await sleep(LOOK_MS)
  }
  return peakRssMb
}

export const untilNothingLeft = async ({ client }: BenchDatabase, left: string): Promise<void> => {
  const deadline = sharedNow() + NEVER_ENDS_MS
  while ((await client.query(left)).rowCount !== 0) {
    if (sharedNow() > deadline) throw new Error(`still there: ${left}`)
    await sleep(LOOK_MS)
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
