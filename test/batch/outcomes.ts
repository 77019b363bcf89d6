import { randomUUID } from 'node:crypto'
import { checkOptionsOf } from '../../src/batch/context.ts'
import type { Outcome } from '../../src/perform/outcome/outcome.ts'
import { type ClaimedRow, claim } from '../../src/sql/claim/claim.ts'
import type { Queryable } from '../../src/sql/connection/queryable.ts'
import type { World } from '../support/harness.ts'

/** Claims up to five hundred jobs of these classes as a worker would, on one connection. */
export const claimAll = async (world: World, db: Queryable, jobClasses: readonly string[]) => {
  const processId = randomUUID()
  const now = world.adapter.clock.timestamp()
  const rows = await claim(db, await world.adapter.database.facts(), {
    selector: { kind: 'all' },
    jobClasses: [...jobClasses],
    sort: 'created_at',
    selectLimit: 500,
    limit: 500,
    processId,
    now,
    dueUntil: now,
    runningIds: [],
    releaseKeys: [],
  })
  return { rows, now, processId }
}

/** What the worker of such a claim writes outcomes with; it sends no messages. */
export const writeContext = async ({ adapter }: World, processId: string) => ({
  facts: await adapter.database.facts(),
  processId,
  keepsCreatedAt: false,
  notifies: false,
  check: checkOptionsOf(adapter),
})

/** The outcome of a job of such a claim: a success, or a failure for good with this error. */
export const outcomeOf = (
  row: ClaimedRow,
  lockedAt: string,
  finishedAt: string,
  error: string | null = null,
): Outcome => ({
  row,
  claimKeys: [],
  result: {
    outcome: error === null ? 'succeeded' : 'unhandled',
    error: error === null ? null : { text: error, backtrace: [] },
    errorEvent: error === null ? null : 1,
    isUnhandled: error !== null,
    reenqueue: null,
    job: null,
  },
  durationMs: 0,
  write: 'finish',
  columns: {
    id: row.id,
    lockedAt,
    executionId: row.execution_id,
    finishedAt,
    durationSeconds: 0,
    error,
    errorEvent: error === null ? null : 1,
    backtrace: error === null ? null : [],
    serializedParams: '',
    jobClass: '',
    queueName: '',
    priority: 0,
    createdAt: finishedAt,
    scheduledAt: finishedAt,
    labels: null,
    isNotified: false,
  },
  settled: () => {},
  isLost: () => false,
})
