import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach } from 'vitest'
import { LEDGER_TABLES } from '../../torture/ledger.ts'
import { violationsOf } from '../../torture/report.ts'
import { prepareRuns } from '../../torture/runs.ts'
import { judge } from '../../torture/verdict.ts'
import { openWorld, type World } from '../support/harness.ts'

export let world: World
const worlds: World[] = []
beforeEach(async () => {
  world = await openWorld()
  worlds.push(world)
  await world.sql(LEDGER_TABLES)
})
afterAll(() => Promise.all(worlds.map((each) => each.close())))

/** Seconds after some time of today. */
export const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 31, 12) + seconds * 1000).toISOString()

export interface Run {
  readonly worker: string
  readonly from: number
  /** Null: it never reported its end. */
  readonly to: number | null
  /** When its execution was begun. @default just before `perform` */
  readonly claimed?: number
  readonly outcome?: string
  readonly due?: number
  /** Whether its execution row has ended, and how; 'nothing': there is no row. @default 'success' */
  readonly written?: 'success' | 'interrupted' | 'nothing'
  /** When that was written. @default at its end */
  readonly writtenAt?: number
}

const processes = new Map<string, string>()

export const addWorker = async (worker: string): Promise<string> => {
  const known = processes.get(`${world.url} ${worker}`)
  if (known !== undefined) return known
  const id = randomUUID()
  processes.set(`${world.url} ${worker}`, id)
  const strategy = worker.split('-')[0]
  const side = strategy === 'node' ? 'node' : 'ruby'
  await world.sql('INSERT INTO fleet_workers VALUES ($1, $2, $3, $4)', [worker, side, strategy, id])
  return id
}

/** A job that has succeeded, with its attempts in the ledger and in the tables. */
export const addJob = async (runs: readonly Run[], columns: Record<string, unknown> = {}): Promise<string> => {
  const id = await world.insert({ finished_at: at(60), ...columns })
  for (const run of runs) {
    const { worker, from, to, claimed = from - 0.1, outcome = 'done', due = 0, written = 'success', writtenAt } = run
    const process = await addWorker(worker)
    const isInterrupted = written === 'interrupted'
    await world.sql(
      `INSERT INTO fleet_attempts (job_id, job_class, executions, side, strategy, worker, due_at, started_at, ended_at, outcome)
       SELECT id, job_class, 1, side, strategy, worker, $3, $4, $5, $6 FROM good_jobs, fleet_workers WHERE id = $1 AND worker = $2`,
      [id, worker, at(due), at(from), to === null ? null : at(to), to === null ? null : outcome],
    )
    if (written === 'nothing') continue
    await world.sql(
      `INSERT INTO good_job_executions (created_at, updated_at, active_job_id, job_class, process_id, finished_at, error, error_event)
       VALUES ($1, $1, $2, 'EchoJob', $3, $4, $5, $6)`,
      [
        at(claimed),
        id,
        process,
        at(writtenAt ?? to ?? 50),
        isInterrupted ? 'interrupted' : null,
        isInterrupted ? 0 : null,
      ],
    )
  }
  return id
}

export const violations = async (wanted: readonly string[] = []): Promise<string[]> => {
  await prepareRuns(world.pool)
  return violationsOf(await judge(world.pool, wanted), [])
}
