import type { Batch } from '../../src/batch/batch.ts'
import type { Job } from '../../src/job/base.ts'
import { jobClass, type World } from '../support/harness.ts'

/** The class of all members and callbacks in these tests. */
export const MemberJob = jobClass('MemberJob', () => {})

export const make = (): Job => new (MemberJob as unknown as new () => Job)()

/** The rows of the members of a batch, and of all callbacks there are. */
export const batchRows = ({ sql }: World) => ({
  members: (batch: Batch) =>
    sql<{ id: string }>('SELECT id FROM good_jobs WHERE batch_id = $1 ORDER BY created_at, id', [batch.id]),
  callbacks: () => sql('SELECT id FROM good_jobs WHERE batch_callback_id IS NOT NULL'),
})
