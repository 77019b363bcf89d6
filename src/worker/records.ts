import { Batch } from '../batch/batch.ts'
import { isRetryable, mayConcernRow, RecordNotFoundError, sqlState } from '../errors.ts'
import { events } from '../events.ts'
import type { Adapter } from '../maintenance/adapter.ts'
import { locateWith } from '../serialize/values/locators.ts'
import type { GlobalID } from '../serialize/values/ruby-values.ts'
import { backoffMs, endsWithin, sleep } from '../time.ts'

/** The record of a GlobalID argument: a batch, or the value that a registered locator returns. Without a locator, the GlobalID itself. */
export const locateRecord = async (gid: GlobalID, adapter: Adapter): Promise<unknown> => {
  if (gid.modelName !== 'GoodJob::Batch' && gid.modelName !== 'GoodJob::BatchRecord') return locateWith(gid)
  const id = String(gid.modelId)
  const batch = (await Batch.findAll([id], adapter)).get(id)
  if (batch === undefined) throw new RecordNotFoundError(`there is no batch ${id}`)
  return batch
}

/** Shorter than the limit of a statement: a connection may have died silently. */
const PATIENCE_MS = 10_000

/**
 * The batches of claimed jobs. While Postgres is unreachable the jobs wait, because they are claimed already. Returns no batches if
 * `signal` aborts.
 */
export const loadBatchesUntil = async (
  ids: readonly string[],
  adapter: Adapter,
  processId: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, Batch>> => {
  for (let tries = 1; ; tries++) {
    try {
      const batches = Batch.findAll(ids, adapter)
      if (await endsWithin(batches, PATIENCE_MS)) return await batches
      throw Object.assign(new Error(`no answer within ${PATIENCE_MS / 1000} s`), { code: 'ETIMEDOUT' })
    } catch (error) {
      events.emit('connection_retry', { processId, part: 'batches', error, attempt: tries })
      // A job must not wait forever for a batch that it may never read.
      const isPassing = isRetryable(error) || (sqlState(error) !== undefined && !mayConcernRow(error))
      if (!isPassing || signal.aborted) return new Map()
      await sleep(backoffMs(tries), signal)
    }
  }
}
