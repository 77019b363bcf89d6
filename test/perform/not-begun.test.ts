import { randomUUID } from 'node:crypto'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { jobClass, next, openWorld, performed, until } from '../support/harness.ts'

const world = await openWorld()
afterAll(() => world.close())
beforeEach(() => world.sql('TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_processes'))

/** A claimed job that cannot begin because its batch cannot be read. */
const claimedMember = async (name: string) => {
  const begun: string[] = []
  const MemberJob = jobClass(name, (job) => void begun.push(job.jobId))
  const capsule = await world.start({ jobs: [MemberJob] })
  const batchId = randomUUID()
  await world.sql('INSERT INTO good_job_batches (id, created_at, updated_at) VALUES ($1, now(), now())', [batchId])
  const dba = await world.database.connect()
  await dba.query('BEGIN')
  await dba.query('LOCK TABLE good_job_batches IN ACCESS EXCLUSIVE MODE')
  const id = await world.insert({ job_class: name, batch_id: batchId })
  await world.sql(`SELECT pg_notify('good_job', '{}')`)
  await until(async () => (await world.job(id)).performed_at !== null, 'claimed')
  const unlockBatches = async (): Promise<void> => {
    await dba.query('COMMIT')
    await dba.end()
  }
  return { begun, capsule, id, MemberJob, unlockBatches }
}

test.each([
  ['released', `locked_by_id = NULL, locked_at = NULL, scheduled_at = scheduled_at + interval '1 day'`],
  ['finished', `finished_at = now() AT TIME ZONE 'UTC', error = 'force-discarded', error_event = 5`],
] as const)('a job that was %s between its claim and its beginning does not begin', async (how, change) => {
  const { begun, capsule, id, unlockBatches } = await claimedMember(`Member ${how}`)
  const withdrawn = next('job_withdrawn')
  const lost = next('outcome_lost')
  await world.sql(`UPDATE good_jobs SET ${change} WHERE id = $1`, [id])
  expect((await withdrawn)[0]).toMatchObject({ jobId: id, lostBy: how })
  await unlockBatches()
  expect((await lost)[0]).toMatchObject({ jobId: id })
  expect(begun).toEqual([])
  expect(await world.job(id)).toMatchObject({ locked_by_id: null })
  await capsule.shutdown()
})

test('a job that is claimed but not begun at a shutdown does not begin, and another worker runs it at once', async () => {
  const { begun, capsule, id, MemberJob, unlockBatches } = await claimedMember('Member of a shutdown')
  const stopping = capsule.shutdown({ timeout: 0 })
  await until(async () => (await world.job(id)).locked_by_id === null, 'released')
  await unlockBatches()
  await stopping
  expect(begun).toEqual([])
  const again = performed(id)
  await using _next = await world.start({ jobs: [MemberJob] })
  await again
  expect(begun).toEqual([id])
  expect((await world.executions(id)).map(({ error_event }) => error_event)).toEqual([0, null])
})
