import { Argument, type Command, Option } from 'commander'
import { Batch } from '../../batch/batch.ts'
import type { CallbackEvent } from '../../batch/completion/decision.ts'
import { BATCH_STATES, type BatchState } from '../../sql/batch/list.ts'
import { PartialFailure } from '../failure.ts'
import { plural, print, printJson, snakeCase } from '../output.ts'
import { addSessionOptions, parseCursor, parseId, parseLimit, withSession } from '../session.ts'
import { listBatchPage, listUnproven } from './list.ts'
import { recoverBatches } from './recover.ts'
import { callbacksText, drawBatch } from './view.ts'

/** `good-job batches …`: shows batches, and recovers them. */
export const addBatchesCommands = (program: Command): void => {
  const batches = program.command('batches').description('show batches, and recover discarded ones')
  addList(batches)
  addShow(batches)
  addRecover(batches)
  addRetry(batches)
  addCallback(batches)
  addDiscard(batches)
}

const withId = (batches: Command, name: string, description: string): Command =>
  addSessionOptions(batches.command(name).description(description)).addArgument(
    new Argument('<id>', 'batch id').argParser(parseId),
  )

const addList = (batches: Command): void => {
  const command = addSessionOptions(batches.command('list').description('list batches, newest first'))
    .addOption(
      new Option('--state <state>', 'only batches in this state').choices(BATCH_STATES).helpGroup('Which batches:'),
    )
    .addOption(
      new Option('--unproven', 'discarded batches without broken jobs whose success cannot be proven')
        .conflicts('state')
        .helpGroup('Which batches:'),
    )
    .option('--limit <rows>', 'rows per page', parseLimit, 25)
    .option('--after <page>', 'the next page, as the previous page printed it', parseCursor)
  command.action(() =>
    withSession(command, async (session) => {
      const options = command.opts<{
        state?: BatchState
        unproven?: boolean
        limit: number
        after?: { at: string; id: string }
      }>()
      if (options.unproven === true) await listUnproven(session, options)
      else await listBatchPage(session, options)
    }),
  )
}

const addShow = (batches: Command): void => {
  const command = withId(batches, 'show', 'show one batch: jobs by state, callbacks, recovery, timeline')
  command.action((id: string) =>
    withSession(command, async ({ adapter, isJson }) => {
      const batch = await Batch.find(id, adapter)
      const status = await batch.status()
      if (isJson) printJson(snakeCase(status))
      else print(drawBatch(status))
    }),
  )
}

const addRecover = (batches: Command): void => {
  const command = addSessionOptions(
    batches
      .command('recover')
      .description('recover discarded batches whose jobs have all succeeded since; complete hung batches'),
  )
    .addArgument(new Argument('[id]', 'batch id; without it, every batch that can recover').argParser(parseId))
    .option('--dry-run', 'report what would happen; write nothing')
    .option('--force', 'recover even without proof that no job was lost (needs an id)')
  command.action((id: string | undefined) =>
    withSession(command, (session) =>
      recoverBatches(session, id, command.opts<{ dryRun?: boolean; force?: boolean }>()),
    ),
  )
}

const addRetry = (batches: Command): void => {
  const command = withId(batches, 'retry', 'run the discarded jobs again; every callback can fire again').option(
    '--force',
    'retry even if rows of discarded jobs are gone',
  )
  command.action((id: string) =>
    withSession(command, async ({ adapter, isJson }) => {
      const batch = await Batch.find(id, adapter)
      const { retriedJobIds, recovery } = await batch.retry({ force: command.getOptionValue('force') === true })
      if (isJson) printJson(snakeCase({ id, retriedJobIds, recovery: recovery ?? null }))
      else if (recovery === undefined) print(`${plural(retriedJobIds.length, 'job')} of batch ${id} retried.`)
      else print(`No member is discarded. ${recovery.outcome}: ${recovery.reason}`)
      if (recovery?.outcome === 'unproven') throw new PartialFailure(recovery.reason)
    }),
  )
}

const EVENTS: readonly CallbackEvent[] = ['success', 'finish', 'discard']

const addCallback = (batches: Command): void => {
  const command = withId(batches, 'callback', 'enqueue one callback manually').addArgument(
    new Argument('<event>', 'which callback').choices(EVENTS),
  )
  command.action((id: string, event: CallbackEvent) =>
    withSession(command, async ({ adapter, isJson }) => {
      const batch = await Batch.find(id, adapter)
      const { jobId, jobClass } = await batch.callback(event)
      if (isJson) printJson(snakeCase({ id, event, jobId, jobClass }))
      else print(`Enqueued ${jobClass} as the ${event} callback of batch ${id}: job ${jobId}.`)
    }),
  )
}

const addDiscard = (batches: Command): void => {
  const command = withId(batches, 'discard', 'discard every unfinished job, including running ones').option(
    '--message <text>',
    'stored as the error of the jobs',
  )
  command.action((id: string) =>
    withSession(command, async ({ adapter, isJson }) => {
      const batch = await Batch.find(id, adapter)
      const { discardedJobIds, callbacks } = await batch.discard(
        command.getOptionValue('message') as string | undefined,
      )
      if (isJson) printJson(snakeCase({ id, discardedJobIds, callbacks }))
      else print(`${plural(discardedJobIds.length, 'job')} of batch ${id} discarded.${callbacksText(callbacks)}`)
    }),
  )
}
