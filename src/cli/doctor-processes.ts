import { matchesQueue, parseSelector } from '../claim/queue-string.ts'
import type { WaitingQueue } from '../sql/job-list.ts'
import type { ListedProcess } from '../sql/process-list.ts'

/** A worker process of either language, as far as its row tells. */
export interface DoctorProcess {
  readonly id: string
  readonly hostname: string
  readonly pid: string
  /** Queue selectors of its pools. */
  readonly pools: readonly string[]
  readonly updated_at: string
  readonly is_alive: boolean
  readonly running_jobs: number
  readonly deletes_finished_jobs: boolean
}

export type IdleQueue = Omit<WaitingQueue, 'queue_name'> & { readonly queue_name: string }

/** Reads what a process writes of itself; older GoodJob versions write less. */
export const doctorProcess = (row: ListedProcess): DoctorProcess => {
  const state = objectOf(row.state)
  const schedulers = Array.isArray(state.schedulers) ? (state.schedulers as unknown[]) : []
  const preserve = state.preserve_job_records ?? true
  return {
    id: row.id,
    hostname: String(state.hostname ?? 'unknown'),
    pid: String(state.pid ?? '?'),
    pools: schedulers.map(poolOf),
    updated_at: row.updated_at,
    is_alive: row.is_alive,
    running_jobs: row.running_jobs,
    deletes_finished_jobs: preserve !== true && preserve !== 'true',
  }
}

const objectOf = (text: string): Record<string, unknown> => {
  const state: unknown = JSON.parse(text)
  return typeof state === 'object' && state !== null && !Array.isArray(state) ? (state as Record<string, unknown>) : {}
}

const poolOf = (scheduler: unknown): string => {
  const { queues, name } = (scheduler ?? {}) as { queues?: unknown; name?: unknown }
  if (typeof queues === 'string') return queues
  // GoodJob before 4.11.2 only writes the name: GoodJob::Scheduler(queues=* max_threads=5).
  return /queues=(.*) max_threads/.exec(String(name))?.[1] ?? '*'
}

/** Queues with due jobs that no pool of a live process serves. */
export const idleQueues = (waiting: readonly WaitingQueue[], processes: readonly DoctorProcess[]): IdleQueue[] => {
  const selectors = processes.filter(({ is_alive }) => is_alive).flatMap(({ pools }) => pools.map(parseSelector))
  return waiting.flatMap((queue) => {
    const name = queue.queue_name ?? ''
    return selectors.some((selector) => matchesQueue(selector, name)) ? [] : [{ ...queue, queue_name: name }]
  })
}
