import { randomUUID } from 'node:crypto'
import { Lane } from '../../src/claim/lane.ts'
import { RoundLane } from '../../src/claim/round-lane.ts'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import type { Database } from '../../src/sql/database.ts'
import { createClock } from '../../src/time.ts'

const clock = createClock()

/** A lane without a pool: the test claims and releases; `lost` are the claims that the lane reported as lost. */
export const openLaneOn = async (database: Database) => {
  const { options, ...rest } = laneOptions(database)
  return opened({ lane: new Lane(options, pgConnection), ...rest })
}

/** The same for a lane that holds rounds. */
export const openRoundLaneOn = async (database: Database, deferStartMs: number) => {
  const { options, ...rest } = laneOptions(database)
  return opened({ lane: new RoundLane({ ...options, deferStartMs }), ...rest })
}

const laneOptions = (database: Database) => {
  const processId = randomUUID()
  const lost: string[] = []
  const onClaimsLost = (ids: readonly string[]) => lost.push(...ids)
  return {
    options: { database, processId, sort: 'created_at', onClaimsLost, onReady: () => {} } as const,
    lost,
    processId,
  }
}

const opened = async <L extends Lane>(scene: {
  readonly lane: L
  readonly lost: string[]
  readonly processId: string
}) => {
  await scene.lane.connect()
  return { ...scene, [Symbol.asyncDispose]: () => scene.lane.close() }
}

export const request = () => {
  const now = clock.timestamp()
  const selector = { kind: 'all' } as const
  return {
    selector,
    jobClasses: ['EchoJob'],
    sort: 'created_at',
    selectLimit: 10,
    limit: 10,
    now,
    dueUntil: now,
  } as const
}

export const takeJobs = async ({ lane }: { readonly lane: Lane }) => {
  const { rows, now } = await lane.claim(request)
  return { ids: rows.map(({ id }) => id), now }
}
