import { findUnprovenBatches, type UnprovenSearch } from '../../batch/completion/unproven.ts'
import { pc } from '../../colors.ts'
import { stateText } from '../../observe/batch-bar.ts'
import {
  type BatchCursor,
  type BatchState,
  findRecoverablePage,
  type ListedBatch,
  listBatches,
  type RecoverableBatch,
} from '../../sql/batch/list.ts'
import { JOB_STATES } from '../../sql/jobs/states.ts'
import { boundedRead } from '../../sql/transaction/bounded-read.ts'
import { agoText, print, printJson, table, timeText } from '../output.ts'
import { type CommandSession, cursorText } from '../session.ts'

interface ListOptions {
  readonly state?: BatchState
  readonly limit: number
  readonly after?: { readonly at: string; readonly id: string }
}

/** One page of batches. */
export const listBatchPage = async (session: CommandSession, { state, limit, after }: ListOptions): Promise<void> => {
  const { adapter, isJson, now, timestamp } = session
  const { pool } = adapter.database
  const start = after && { created_at: after.at, id: after.id }
  const query = { state, limit: limit + 1, after: start }
  const rows = await listBatches(pool, await adapter.database.facts(), timestamp, query)
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  const next = last ? cursorText({ at: last.created_at, id: last.id }) : null
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

const PAGE = 100

/** Walks over every discarded batch in which nothing is open or broken. */
export async function* recoverableBatches({ adapter, progress }: CommandSession): AsyncGenerator<RecoverableBatch> {
  let after: BatchCursor | undefined
  let seen = 0
  do {
    const facts = await adapter.database.facts()
    const page = await findRecoverablePage(adapter.database.pool, facts, { limit: PAGE, after })
    for (const batch of page) {
      seen += 1
      progress.tell(`${seen} batches looked at …`)
      yield batch
    }
    after = page.length === PAGE ? page.at(-1) : undefined
  } while (after !== undefined)
}

/** A search for few among many batches ends after this time, and says how far it came. */
const SEARCH_MS = 300
const READ = { timeoutMs: 60_000 }

/** The youngest batches that `recover` refuses, with the reason. */
export const findUnproven = ({ adapter }: CommandSession, limit: number): Promise<UnprovenSearch> =>
  boundedRead(adapter.database, READ, (db) => findUnprovenBatches(adapter, db, { limit, budgetMs: SEARCH_MS }))

/** Where a search ended before its time, or undefined. */
export const searchedText = ({ stoppedAt }: UnprovenSearch): string | undefined =>
  stoppedAt && `Searched the batches created since ${timeText(stoppedAt.created_at)}; older ones were not examined.`

/** `batches list --unproven` */
export const listUnproven = async (session: CommandSession, { limit }: ListOptions): Promise<void> => {
  const search = await findUnproven(session, limit)
  const { batches: unproven, stoppedAt } = search
  if (session.isJson) {
    printJson({ batches: unproven, next: null, searched_until: stoppedAt?.created_at ?? null })
    return
  }
  const searched = searchedText(search)
  if (unproven.length === 0) {
    print(searched === undefined ? 'No unproven batches.' : `No unproven batches found. ${searched}`)
    return
  }
  const rows = unproven.map(({ id, description, discarded_at, reason }) => [
    id,
    agoText(discarded_at, session.now),
    description ?? '–',
    reason,
  ])
  print(table(['id', 'discarded', 'description', 'reason'], rows))
  if (searched !== undefined) print(`\n${searched}`)
  print('\nWhen you know that nothing was lost: good-job batches recover <id> --force')
}
