import type { Command } from 'commander'
import { pc } from '../../colors.ts'
import { GoodJobError } from '../../errors.ts'
import type { Adapter } from '../../maintenance/adapter.ts'
import { countJobs } from '../../sql/jobs/count.ts'
import type { JobCursor, JobFilter } from '../../sql/jobs/filter.ts'
import { listJobs } from '../../sql/jobs/list.ts'
import type { JobState } from '../../sql/jobs/states.ts'
import { boundedRead } from '../../sql/transaction/bounded-read.ts'
import { confirm } from '../confirm.ts'
import { PartialFailure, UsageError } from '../failure.ts'
import { plural, print, printJson } from '../output.ts'
import { type CommandSession, withSession } from '../session.ts'

interface ActionOptions {
  readonly message?: string
  readonly at?: Date
}

/** An action on jobs. */
export interface JobAction {
  readonly name: string
  /** The participle that reports it, such as "retried". */
  readonly done: string
  readonly text: string
  /** The states that it applies to when the filter names none. */
  readonly states: readonly JobState[]
  readonly act: (adapter: Adapter, id: string, options: ActionOptions) => Promise<void>
}

interface Result {
  readonly done: string[]
  readonly failed: { readonly id: string; readonly error: string }[]
}

/** Counting stops at this number of jobs or after this time. */
const COUNT_LIMIT = 10_000
const COUNT_MS = 150
const READ = { timeoutMs: 60_000 }
const PAGE = 500

/**
 * Performs the action on each of the ids, or on all matching jobs. Each job has a transaction of its own; a refused job does not stop the
 * others.
 */
export const actOnJobs = (
  command: Command,
  action: JobAction,
  which: { readonly ids: readonly string[] | undefined; readonly filter: JobFilter | undefined },
): Promise<void> => {
  const { ids = [], filter } = which
  if (ids.length > 0 && filter !== undefined)
    throw new UsageError('name ids or a filter (--state, --queue …), not both')
  if (ids.length === 0 && filter === undefined) {
    throw new UsageError(`which jobs? name ids, or a filter such as --queue default`)
  }
  const options = command.opts<ActionOptions & { yes?: boolean }>()
  return withSession(command, async (session) => {
    const result: Result = { done: [], failed: [] }
    try {
      if (filter === undefined)
        await actOnEach(session, action, { ids, of: plural(ids.length, 'job'), options, result })
      else await actOnMatching(session, action, { filter: { states: action.states, ...filter }, options, result })
    } catch (error) {
      tellUnfinished(session, action, result)
      throw error
    }
    tell(session, action, result)
    if (result.failed.length > 0) throw new PartialFailure(`${result.failed.length} failed`)
  })
}

const actOnMatching = async (
  session: CommandSession,
  action: JobAction,
  { filter, options, result }: { filter: JobFilter; options: ActionOptions & { yes?: boolean }; result: Result },
): Promise<void> => {
  const { adapter, timestamp: now } = session
  const { database } = adapter
  const query = { filter, now, limit: COUNT_LIMIT, budgetMs: COUNT_MS }
  const { jobs: count, isCapped } = await boundedRead(database, READ, (db) => countJobs(db, query))
  if (count === 0 && !isCapped) return
  const amount = isCapped ? `${count} or more jobs` : plural(count, 'job')
  const verb = action.name.charAt(0).toUpperCase() + action.name.slice(1)
  await session.progress.suspend(() => confirm(`${verb} ${amount}?`, options.yes === true))
  let after: JobCursor | undefined
  do {
    const { jobs, next } = await boundedRead(database, READ, (db) => listJobs(db, { filter, now, limit: PAGE, after }))
    await actOnEach(session, action, { ids: jobs.map(({ id }) => id), of: amount, options, result })
    after = next
  } while (after !== undefined)
}

const actOnEach = async (
  session: CommandSession,
  action: JobAction,
  { ids, of, options, result }: { ids: readonly string[]; of: string; options: ActionOptions; result: Result },
): Promise<void> => {
  for (const id of ids) {
    await actOnJob(session, action, { id, options, result })
    session.progress.tell(`${result.done.length + result.failed.length} of ${of} …`)
  }
}

const actOnJob = async (
  { adapter }: CommandSession,
  action: JobAction,
  { id, options, result }: { id: string; options: ActionOptions; result: Result },
): Promise<void> => {
  try {
    await action.act(adapter, id, options)
    result.done.push(id)
  } catch (error) {
    // A refusal concerns only this job. Any other error (no connection, no privilege) would affect the next job, too.
    if (!(error instanceof GoodJobError)) throw error
    result.failed.push({ id, error: error.message })
  }
}

/** After a lost connection or an error: prints what was done so far. */
const tellUnfinished = (session: CommandSession, action: JobAction, result: Result): void => {
  if (result.done.length + result.failed.length === 0) return
  tell(session, action, result)
  if (session.isJson) return
  for (const id of result.done) print(`  ${id}`)
  process.stderr.write(
    'The remaining jobs were not tried; the job in progress may be done or not. Run the same command again for the rest.\n',
  )
}

const tell = ({ isJson }: CommandSession, action: JobAction, { done, failed }: Result): void => {
  if (isJson) printJson({ action: action.name, done, failed })
  for (const { error } of isJson ? [] : failed) process.stderr.write(`${pc.red('refused:')} ${error}\n`)
  if (isJson) return
  print(done.length === 0 && failed.length === 0 ? 'No job matches.' : `${plural(done.length, 'job')} ${action.done}.`)
}
