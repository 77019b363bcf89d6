import type { RecoverBatchResult } from '../../batch/actions.ts'
import { Batch } from '../../batch/batch.ts'
import { PartialFailure, UsageError } from '../failure.ts'
import { plural, print, printJson, snakeCase } from '../output.ts'
import type { CommandSession } from '../session.ts'
import { recoverableBatches } from './list.ts'
import { callbacksText } from './view.ts'

interface RecoverOptions {
  readonly dryRun?: boolean
  readonly force?: boolean
}

/** Recovers one batch, or all that qualify; prints what happened to each and why. @throws PartialFailure when one was refused */
export const recoverBatches = async (
  session: CommandSession,
  id: string | undefined,
  { dryRun = false, force = false }: RecoverOptions,
): Promise<void> => {
  if (id === undefined && force) throw new UsageError('--force needs one batch: name its id')
  const { isJson } = session
  const results: { id: string; result: RecoverBatchResult }[] = []
  const ids = id === undefined ? idsOf(session) : [id]
  for await (const each of ids) {
    const result = await (await Batch.find(each, session.adapter)).recover({ dryRun, force })
    results.push({ id: each, result })
    if (!isJson) print(`${each}  ${resultText(result, dryRun)}`)
  }
  if (isJson) printJson(snakeCase({ dryRun, batches: results.map(({ id, result }) => ({ id, ...result })) }))
  else if (id === undefined)
    print(
      summary(
        results.map(({ result }) => result),
        dryRun,
      ),
    )
  if (results.some(({ result }) => result.outcome === 'unproven')) throw new PartialFailure('unproven')
}

async function* idsOf(session: CommandSession): AsyncGenerator<string> {
  for await (const { id } of recoverableBatches(session)) yield id
}

const resultText = ({ outcome, reason, callbacks }: RecoverBatchResult, dryRun: boolean): string => {
  const would = dryRun && (outcome === 'recovered' || outcome === 'completed') ? `would be ${outcome}` : outcome
  const enqueued = callbacksText(callbacks)
  return `${would}: ${reason}.${dryRun ? enqueued.replace('Enqueued', 'Would enqueue') : enqueued}`
}

const summary = (results: readonly RecoverBatchResult[], dryRun: boolean): string => {
  const count = (outcome: RecoverBatchResult['outcome']) => results.filter((each) => each.outcome === outcome).length
  const recovered = count('recovered') + count('completed')
  const unproven = count('unproven')
  const verb = dryRun ? 'would recover' : 'recovered'
  const way = unproven > 0 ? ` If you know that nothing was lost: good-job batches recover <id> --force` : ''
  return `${plural(recovered, 'batch')} ${verb}, ${unproven} unproven.${way}`
}
