import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Configuration } from '../configuration.ts'
import { publishedRulesOf, publishedWorkerRule } from '../job/concurrency/published.ts'
import type { JobRegistry } from '../job/definition/registry.ts'
import { VERSION } from '../version.ts'
import type { Scheduler } from './pool/scheduler.ts'

/**
 * The state column of the process row. The dashboard's processes page fails for all processes when memory, proctitle or schedulers is
 * missing or has another type. GoodJob process.rb#generate_state. The key `good_job_node` is this package's own: it holds what `doctor`,
 * `pause` and other workers must know about a worker.
 */
export const processState = (
  configuration: Configuration,
  schedulers: readonly Scheduler[],
  registry: JobRegistry,
  pool: { readonly totalCount: number; readonly idleCount: number; readonly max: number },
): string => {
  const stats = schedulers.map(schedulerState)
  const sum = (pick: (state: ReturnType<typeof schedulerState>) => number) =>
    stats.reduce((total, state) => total + pick(state), 0)
  const { preserveJobRecords, retryOnUnhandledError, enablePauses, enableCron, cron } = configuration
  return JSON.stringify({
    hostname: hostname(),
    pid: process.pid,
    memory: memoryKilobytes(),
    proctitle: process.title,
    preserve_job_records: typeof preserveJobRecords === 'function' ? 'function' : preserveJobRecords,
    retry_on_unhandled_error: retryOnUnhandledError,
    schedulers: stats,
    cron_enabled: enableCron && Object.keys(cron).length > 0,
    total_succeeded_executions_count: sum((state) => state.succeeded_executions_count),
    total_errored_executions_count: sum((state) => state.errored_executions_count),
    database_connection_pool: { size: pool.max, active: pool.totalCount - pool.idleCount },
    good_job_node: { version: VERSION, ...ownState(registry, configuration), enable_pauses: enablePauses },
  })
}

const ownState = (registry: JobRegistry, { concurrency }: Configuration) => ({
  job_classes: registry.names(),
  concurrency_rules: [
    ...concurrency.map(publishedWorkerRule),
    ...registry.names().flatMap((name) => publishedRulesOf(name, registry.get(name) ?? Object)),
  ],
})

const schedulerState = ({ pool, activeThreads, stats }: Scheduler) => ({
  name: `GoodJob::Scheduler(queues=${pool.name} max_threads=${pool.maxThreads})`,
  queues: pool.name,
  max_threads: pool.maxThreads,
  active_threads: activeThreads,
  available_threads: pool.maxThreads - activeThreads,
  max_cache: 0,
  active_cache: 0,
  available_cache: 0,
  empty_executions_count: stats.empty,
  errored_executions_count: stats.errored,
  succeeded_executions_count: stats.succeeded,
  total_executions_count: stats.succeeded + stats.errored,
  execution_at: stats.executionAt?.toISOString() ?? null,
  check_queue_at: stats.checkQueueAt?.toISOString() ?? null,
})

/** Proportional memory where the kernel reports it, as GoodJob reads it; resident memory elsewhere. */
const memoryKilobytes = (): number => {
  try {
    const pss = /^Pss:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))?.[1]
    if (pss !== undefined) return Number(pss)
  } catch {
    // Not Linux, or the file may not be read.
  }
  return Math.round(process.memoryUsage.rss() / 1024)
}
