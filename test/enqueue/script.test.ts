import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { createDatabase } from '../support/postgres.ts'

const run = promisify(execFile)
const database = await createDatabase()
afterAll(() => database.drop())

const script = `
  const { Job } = await import(${JSON.stringify(join(import.meta.dirname, '../../dist/index.js'))})
  class GreetJob extends Job {
    async perform() {}
  }
  const job = await GreetJob.performLater()
  const enqueued = performance.now()
  process.on('exit', () => console.log(JSON.stringify({ jobId: job.jobId, idleMs: performance.now() - enqueued })))`

test('a script that enqueues through the default adapter exits by itself once it has nothing left to do', async () => {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, DATABASE_URL: database.url },
    timeout: 30_000,
  })
  const { jobId, idleMs } = JSON.parse(stdout) as { jobId: string; idleMs: number }
  const { rows } = await database.pool().query('SELECT id FROM good_jobs')
  expect(rows).toEqual([{ id: jobId }])
  expect(idleMs).toBeLessThan(5_000)
})
