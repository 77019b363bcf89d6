import { matchesQueue, parseSelector } from '../claim/queue-string.ts'
import { type PublishedRule, publishedRule } from '../job/concurrency/published.ts'
import type { WaitingJobs } from '../sql/jobs/waiting.ts'
import type { ListedProcess } from '../sql/process/list.ts'

/** A worker process, Node or Ruby, as its row describes it. */
export interface WorkerProcess {
  readonly id: string
  readonly hostname: string
  readonly pid: string
  /** Queue selectors of its pools. */
  readonly pools: readonly string[]
  readonly updated_at: string
  /** The row has not expired and was refreshed recently, or the advisory lock of the process is held. */
  readonly is_alive: boolean
  readonly running_jobs: number
  readonly deletes_finished_jobs: boolean
  /** The classes that the process runs; null if it does not publish them, as in Ruby. */
  readonly job_classes: readonly string[] | null
  /** Whether the process starts no paused jobs; null if it does not publish this, as in Ruby. */
  readonly honours_pauses: boolean | null
  /** The concurrency rules for starts; null if the process does not publish them, as in Ruby. */
  readonly concurrency_rules: readonly PublishedRule[] | null
}

/** Parses the state that a process publishes in its row; older GoodJob versions publish less. */
export const workerProcess = (row: ListedProcess): WorkerProcess => {
  const state = objectOf(JSON.parse(row.state))
  const ours = objectOf(state.good_job_node)
  const schedulers = Array.isArray(state.schedulers) ? (state.schedulers as unknown[]) : []
  const preserve = state.preserve_job_records ?? true
  return {
    id: row.id,
    hostname: String(state.hostname ?? 'unknown'),
    pid: String(state.pid ?? '?'),
    pools: schedulers.map(poolOf),
    updated_at: row.updated_at,
    is_alive: row.is_alive && !row.is_silent,
    running_jobs: row.running_jobs,
    deletes_finished_jobs: preserve !== true && preserve !== 'true',
    job_classes: Array.isArray(ours.job_classes) ? ours.job_classes.map(String) : null,
    honours_pauses: typeof ours.enable_pauses === 'boolean' ? ours.enable_pauses : null,
    concurrency_rules: Array.isArray(ours.concurrency_rules) ? ours.concurrency_rules.flatMap(publishedRule) : null,
  }
}

const objectOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}

const poolOf = (scheduler: unknown): string => {
  const { queues, name } = (scheduler ?? {}) as { queues?: unknown; name?: unknown }
  if (typeof queues === 'string') return queues
  // GoodJob before 4.11.2 only writes the name: GoodJob::Scheduler(queues=* max_threads=5).
  return /queues=(.*) max_threads/.exec(String(name))?.[1] ?? '*'
}

/** Whether one of its pools serves the queue. */
export const servesQueue = ({ pools }: WorkerProcess, queueName: string | null): boolean =>
  pools.some((pool) => matchesQueue(parseSelector(pool), queueName ?? ''))

/** Whether it runs the class. A process that does not publish its classes, as in Ruby, is assumed to run every class of its queues. */
export const mayRun = ({ job_classes }: Pick<WorkerProcess, 'job_classes'>, jobClass: string | null): boolean =>
  job_classes?.includes(jobClass ?? '') ?? true

/** Due jobs that no live process will start, and why. */
export interface UnservedJobs extends WaitingJobs {
  /** Either no live process serves the queue, or the processes that serve it do not have the class. */
  readonly lacks: 'queue' | 'class'
}

/** The waiting jobs that no live process will start. */
export const unservedJobs = (waiting: readonly WaitingJobs[], processes: readonly WorkerProcess[]): UnservedJobs[] => {
  const alive = processes
    .filter(({ is_alive }) => is_alive)
    .map(({ pools, job_classes }) => ({ selectors: pools.map(parseSelector), job_classes }))
  return waiting.flatMap((jobs): UnservedJobs[] => {
    const serving = alive.filter(({ selectors }) =>
      selectors.some((selector) => matchesQueue(selector, jobs.queue_name ?? '')),
    )
    if (serving.length === 0) return [{ ...jobs, lacks: 'queue' }]
    const isKnown = serving.some((process) => mayRun(process, jobs.job_class))
    return isKnown ? [] : [{ ...jobs, lacks: 'class' }]
  })
}
