import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { Job } from '../src/index.ts'

/** The same class as in worker.js; here it is only enqueued. */
export class NoopJob extends Job {
  static override queueAs = 'node'
  perform(): void {}
}

export interface NodeWorker {
  /** Seconds of CPU that the process used. */
  stop(): Promise<number>
}

/** A worker in a process of its own. */
export const startNodeWorker = async (databaseUrl: string, threads: number): Promise<NodeWorker> => {
  const script = new URL('./worker.js', import.meta.url).pathname
  const child = spawn(process.execPath, [script, String(threads)], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines = createInterface({ input: child.stdout })
  await once(lines, 'line')
  return {
    stop: async () => {
      const last = once(lines, 'line')
      child.kill('SIGTERM')
      const [text] = await last
      await once(child, 'exit')
      return JSON.parse(text).cpuSeconds
    },
  }
}

/** Waits until no job is unfinished. A benchmark has nothing to await but the rows themselves. */
export const untilDrained = async (pool: Pool, pauseMs = 200): Promise<void> => {
  for (;;) {
    const { rowCount } = await pool.query('SELECT 1 FROM good_jobs WHERE finished_at IS NULL LIMIT 1')
    if (rowCount === 0) return
    await sleep(pauseMs)
  }
}

/** Jobs per second between the first start and the last end, by the rows: the same measure for every kind of worker. */
export const drainRate = async (pool: Pool): Promise<number> => {
  const { rows } = await pool.query(`
    SELECT count(*)::float8 / extract(epoch FROM max(finished_at) - min(performed_at)) AS rate
    FROM good_jobs WHERE batch_callback_id IS NULL`)
  return Number(rows[0]?.rate)
}

/** Milliseconds from enqueue to start, at these percentiles. */
export const startLatency = async (pool: Pool): Promise<{ p50: number; p99: number }> => {
  const { rows } = await pool.query(`
    SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99
    FROM (SELECT extract(epoch FROM performed_at - created_at)::float8 * 1000 AS ms FROM good_jobs) AS latency`)
  return { p50: Number(rows[0]?.p50), p99: Number(rows[0]?.p99) }
}

export const report = (title: string, rows: readonly Record<string, string | number>[]): void => {
  console.log(`\n${title}`)
  console.table(rows)
}
