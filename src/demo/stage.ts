import { randomFillSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Capsule, Job } from '../index.ts'
import { installSchema } from '../sql/schema/schema.ts'
import * as jobs from './jobs.ts'
import { type FoundPostgres, findPostgres } from './postgres.ts'
import { createDatabase, databaseName, dropDatabase } from './postgres-databases.ts'

/** The environment of the demo; `close` removes all of it. */
export interface Stage {
  readonly server: FoundPostgres
  readonly databaseUrl: string
  readonly directory: string
  readonly capsule: Capsule
  close(): Promise<void>
}

const JOBS = [
  jobs.ChecksumJob,
  jobs.FlakyJob,
  jobs.HopelessJob,
  jobs.ReminderJob,
  jobs.DeliveryCompleteJob,
  jobs.DeliveryEndedJob,
  jobs.DeliveryIncompleteJob,
]

/** Starts a server, a database of its own with the tables, a folder for files, and a worker in this process. */
export const setStage = async (): Promise<Stage> => {
  const undo: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step()
  }
  try {
    const directory = await mkdtemp(join(tmpdir(), 'good-job-demo-'))
    undo.push(() => rm(directory, { recursive: true, force: true }))
    const server = await findPostgres()
    undo.push(() => server.stop())
    const databaseUrl = await createDatabase(server.url, { prefix: 'good_job_demo' })
    undo.push(() => dropDatabase(server.url, databaseName(databaseUrl)))
    const capsule = new Capsule({ jobs: JOBS, databaseUrl, queues: 'demo', threads: 4 })
    undo.push(() => capsule.shutdown({ timeout: 10 }))
    await installSchema(capsule.adapter.database.pool)
    await capsule.start()
    Job.queueAdapter = capsule.adapter
    return { server, databaseUrl, directory, capsule, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Writes files of random bytes. @returns their paths */
export const makeFiles = async (
  directory: string,
  { prefix, count, bytes }: { readonly prefix: string; readonly count: number; readonly bytes: number },
): Promise<string[]> => {
  const paths = Array.from({ length: count }, (_, index) => join(directory, `${prefix}-${index + 1}.bin`))
  for (const path of paths) await writeFile(path, randomFillSync(Buffer.alloc(bytes)))
  return paths
}
