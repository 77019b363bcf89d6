import { findUnprovenBatches, type UnprovenSearch } from '../../batch/completion/unproven.ts'
import { pc } from '../../colors.ts'
import { stateText } from '../../observe/batch-bar.ts'
import {
  type BatchCursor,
  type BatchState,
  type BatchStep,
  type ListedBatch,
  searchBatches,
  withMembers,
} from '../../sql/batch/list.ts'
import { JOB_STATES } from '../../sql/jobs/states.ts'
import { boundedRead, boundedSearch } from '../../sql/transaction/bounded-read.ts'
import { agoText, print, printJson, table, timeText } from '../output.ts'
import { type CommandSession, cursorText } from '../session.ts'

interface ListOptions {
  readonly state?: BatchState
  readonly limit: number
  readonly after?: { readonly at: string; readonly id: string }
}

/** A search for few matches among many batches ends after this time and reports how far it came. */
const SEARCH_MS = 150

/** Prints one page of batches. */
export const listBatchPage = async (session: CommandSession, options: ListOptions): Promise<void> => {
  const { page, next, isCut } = await searchPage(session, options)
  if (session.isJson) {
    printJson({ batches: page, next: next ? cursorText({ at: next.created_at, id: next.id }) : null, is_cut: isCut })
    return
  }
  if (page.length > 0 || !isCut) print(page.length > 0 ? drawBatches(page, session.now) : 'No batches.')
  if (next !== undefined) printMore(next, isCut)
}

const printMore = ({ created_at, id }: BatchCursor, isCut: boolean): void => {
  const more = isCut ? `Searched back to ${timeText(created_at)}; further back` : 'More'
  print(`\n${more}: --after ${cursorText({ at: created_at, id })}`)
}

interface BatchPage {
  readonly page: readonly ListedBatch[]
  readonly next: BatchCursor | undefined
  readonly isCut: boolean
}

const searchPage = async (
  { adapter, timestamp }: CommandSession,
  { state, limit, after }: ListOptions,
): Promise<BatchPage> => {
  const { database } = adapter
  const facts = await database.facts()
  const found: BatchStep['batches'][number][] = []
  let position = after && { created_at: after.at, id: after.id }
  let isCut = true
  await boundedSearch(database, async (db) => {
    const deadline = performance.now() + SEARCH_MS
    do {
      const step = await searchBatches(db, facts, { state, limit: limit + 1 - found.length, after: position })
      found.push(...step.batches)
      position = step.position
      isCut = position !== undefined && found.length <= limit
    } while (isCut && performance.now() < deadline)
  })
  const page = found.slice(0, limit)
  const next = found.length > limit ? page.at(-1) : position
  return { page: await withMembers(database.pool, page, timestamp), next, isCut }
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
const READ = { timeoutMs: 60_000 }

/** Yields every batch without open or broken members that was discarded or never completed. */
export async function* recoverableBatches({ adapter, progress }: CommandSession): AsyncGenerator<BatchCursor> {
  let after: BatchCursor | undefined
  let seen = 0
  do {
    const facts = await adapter.database.facts()
    const query = { state: 'recoverable', limit: PAGE, after } as const
    const { batches, position } = await boundedRead(adapter.database, READ, (db) => searchBatches(db, facts, query))
    for (const batch of batches) {
      seen += 1
      progress.tell(`${seen} batches checked …`)
      yield batch
    }
    after = position
  } while (after !== undefined)
}

/** The youngest batches that `recover` refuses, with the reason. */
export const findUnproven = (
  { adapter }: CommandSession,
  { limit, after }: Pick<ListOptions, 'limit' | 'after'>,
): Promise<UnprovenSearch> =>
  findUnprovenBatches(adapter, {
    limit,
    budgetMs: SEARCH_MS,
    after: after && { created_at: after.at, id: after.id },
  })

/** A sentence about where a search stopped early, or undefined. */
export const searchedText = ({ next, isCut }: UnprovenSearch): string | undefined => {
  if (!isCut) return undefined
  const searched = next
    ? `Searched the batches created since ${timeText(next.created_at)}`
    : 'Searched no batch in time'
  return `${searched}; older ones were not examined.`
}

/** `batches list --unproven` */
export const listUnproven = async (session: CommandSession, options: ListOptions): Promise<void> => {
  const search = await findUnproven(session, options)
  const { batches: unproven, next, isCut } = search
  const more = next && cursorText({ at: next.created_at, id: next.id })
  if (session.isJson) {
    const searchedUntil = isCut ? (next?.created_at ?? null) : null
    printJson({ batches: unproven, next: more ?? null, searched_until: searchedUntil, is_cut: isCut })
    return
  }
  if (unproven.length > 0) print(drawUnproven(unproven, session.now))
  else print(isCut ? 'No unproven batches found.' : 'No unproven batches.')
  const searched = searchedText(search)
  if (searched !== undefined) print(`\n${searched}`)
  if (more !== undefined) print(`\nMore: --after ${more}`)
  if (unproven.length > 0) print('\nIf you know that nothing was lost: good-job batches recover <id> --force')
}

const drawUnproven = (batches: UnprovenSearch['batches'], now: Date): string =>
  table(
    ['id', 'discarded', 'description', 'reason'],
    batches.map(({ id, description, discarded_at, reason }) => [
      id,
      agoText(discarded_at, now),
      description ?? '–',
      reason,
    ]),
  )
