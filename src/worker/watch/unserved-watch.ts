import { events } from '../../events.ts'
import { unservedJobs, workerProcess } from '../../maintenance/worker-processes.ts'
import type { Database } from '../../sql/database.ts'
import { findWaitingJobs } from '../../sql/jobs/waiting.ts'
import { listProcesses } from '../../sql/process/list.ts'
import { type Clock, columnText } from '../../time.ts'

export interface UnservedWatchOptions {
  readonly database: Database
  readonly processId: string
  readonly clock: Clock
}

/** At most this many due jobs are read, the oldest first. */
const MAX_WAITING = 1_000
const MAX_PROCESSES = 1_000
/** While a deployment replaces workers, a class may briefly have none. */
const GRACE_MS = 60_000

/** Reports due jobs that no live worker will start, once for each class and queue. */
export class UnservedWatch {
  readonly #options: UnservedWatchOptions
  readonly #reported = new Set<string>()

  constructor(options: UnservedWatchOptions) {
    this.#options = options
  }

  async check(): Promise<void> {
    const { database, processId, clock } = this.#options
    const now = clock.now()
    const waiting = await findWaitingJobs(database.pool, columnText(now), MAX_WAITING)
    const old = waiting.filter(({ oldest_at }) => now.getTime() - Date.parse(oldest_at) >= GRACE_MS)
    if (old.length === 0) return
    const rows = await listProcesses(database.pool, await database.facts(), MAX_PROCESSES)
    for (const { queue_name, job_class, jobs, oldest_at, lacks } of unservedJobs(old, rows.map(workerProcess))) {
      const key = JSON.stringify([job_class, queue_name, lacks])
      if (this.#reported.has(key)) continue
      this.#reported.add(key)
      const payload = { queueName: queue_name, jobClass: job_class, jobs, oldestAt: new Date(oldest_at), lacks }
      events.emit('jobs_unserved', { processId, ...payload })
    }
  }
}
