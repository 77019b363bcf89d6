import { Batch } from '../batch/batch.ts'
import { pc } from '../colors.ts'
import { stateText } from '../observe/batch-bar.ts'
import { type BatchCursor, type BatchState, type ListedBatch, listBatches } from '../sql/batch-list.ts'
import { JOB_STATES } from '../sql/job-states.ts'
import { agoText, print, printJson, table } from './output.ts'
import { cursorText, type Session } from './session.ts'

interface ListOptions {
  readonly state?: BatchState
  readonly limit: number
  readonly after?: BatchCursor
}

/** One page of batches. */
export const listBatchPage = async (session: Session, { state, limit, after }: ListOptions): Promise<void> => {
  const { adapter, isJson, now, timestamp } = session
  const { pool } = adapter.database
  const rows = await listBatches(pool, await adapter.database.facts(), timestamp, { state, limit: limit + 1, after })
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  const next = last ? cursorText(last) : null
  if (isJson) {
    printJson({ batches: page, next })
    return
  }
  print(page.length > 0 ? drawBatches(page, now) : 'No batches.')
  if (next !== null) print(`\nMore: --after ${next}`)
}

const PAINT = { pending: pc.dim, running: pc.magenta, succeeded: pc.green, discarded: pc.red }

const drawBatches = (batches: readonly ListedBatch[], now: Date): string =>
  table(
    ['id', 'state', 'created', 'jobs', 'description'],
    batches.map((batch) => [
      batch.id,
      PAINT[batch.state](batch.state),
      agoText(batch.created_at, now),
      JOB_STATES.flatMap((state) => (batch.jobs[state] ? [`${batch.jobs[state]} ${stateText(state)}`] : [])).join(
        ', ',
      ) || '–',
      batch.description ?? '',
    ]),
  )

/** A discarded batch without open or broken members, and why it may not recover. */
export interface UnprovenBatch {
  readonly id: string
  readonly description: string | null
  readonly discarded_at: string | null
  readonly reason: string
}

const PAGE = 100

/** Walks over every discarded batch in which nothing is open or broken. */
export async function* recoverableBatches(session: Session): AsyncGenerator<ListedBatch> {
  const { adapter, timestamp, progress } = session
  let after: BatchCursor | undefined
  let seen = 0
  do {
    const facts = await adapter.database.facts()
    const page = await listBatches(adapter.database.pool, facts, timestamp, {
      state: 'recoverable',
      limit: PAGE,
      after,
    })
    for (const batch of page) {
      seen += 1
      progress.tell(`${seen} batches looked at …`)
      yield batch
    }
    after = page.length === PAGE ? page.at(-1) : undefined
  } while (after !== undefined)
}

/** The batches that `recover` refuses, with the reason. */
export const findUnproven = async (session: Session, limit: number): Promise<UnprovenBatch[]> => {
  const found: UnprovenBatch[] = []
  for await (const { id, description, discarded_at } of recoverableBatches(session)) {
    const { recovery } = await (await Batch.find(id, session.adapter)).status()
    if (recovery.state === 'unproven') found.push({ id, description, discarded_at, reason: recovery.reason ?? '' })
    if (found.length === limit) break
  }
  return found
}

/** `batches list --unproven` */
export const listUnproven = async (session: Session, { limit }: ListOptions): Promise<void> => {
  const unproven = await findUnproven(session, limit)
  if (session.isJson) {
    printJson({ batches: unproven, next: null })
    return
  }
  if (unproven.length === 0) {
    print('No unproven batches.')
    return
  }
  const rows = unproven.map(({ id, description, discarded_at, reason }) => [
    id,
    agoText(discarded_at, session.now),
    description ?? '–',
    reason,
  ])
  print(table(['id', 'discarded', 'description', 'reason'], rows))
  print('\nWhen you know that nothing was lost: good-job batches recover <id> --force')
}
