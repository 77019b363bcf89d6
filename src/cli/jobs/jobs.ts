import { type Command, InvalidArgumentError, Option } from 'commander'
import { RecordMissingError } from '../../errors.ts'
import { javaScriptNameIn } from '../../job/exceptions/error-names.ts'
import type { Adapter } from '../../maintenance/adapter.ts'
import type { JobCursor, JobFilter } from '../../sql/jobs/filter.ts'
import { findLastBacktraces } from '../../sql/jobs/last-backtraces.ts'
import { findExecutions, findJob, listJobs } from '../../sql/jobs/list.ts'
import { JOB_STATES, type JobState } from '../../sql/jobs/states.ts'
import { boundedRead } from '../../sql/transaction/bounded-read.ts'
import { addMistakenOptions } from '../mistaken-options.ts'
import { print, printJson, snakeCase, timeText } from '../output.ts'
import { addSessionOptions, cursorText, parseCursor, parseId, parseIds, parseLimit, withSession } from '../session.ts'
import { actOnJobs, type JobAction } from './mass-action.ts'
import { drawJob, drawJobs, jobJson } from './view.ts'
import { addWhyCommand, explanationLines } from './why.ts'

interface FilterOptions {
  readonly state?: JobState[]
  readonly queue?: string
  readonly class?: string
  readonly label?: string
  readonly batch?: string
}

const parseState = (text: string, before: readonly JobState[] = []): JobState[] => {
  const state = JOB_STATES.find((name) => name === text)
  if (state !== undefined) return [...before, state]
  throw new InvalidArgumentError(`Allowed choices are ${JOB_STATES.join(', ')}.`)
}

const addFilterOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--state <state>', `${JOB_STATES.join(', ')}; may be repeated`)
        .argParser(parseState)
        .helpGroup('Which jobs:'),
    )
    .addOption(new Option('--queue <name>', 'of this queue').helpGroup('Which jobs:'))
    .addOption(new Option('--class <name>', 'of this job class').helpGroup('Which jobs:'))
    .addOption(new Option('--label <label>', 'with this label').helpGroup('Which jobs:'))
    .addOption(new Option('--batch <id>', 'members of this batch').argParser(parseId).helpGroup('Which jobs:'))

/** The filter given by options; undefined if there is none. */
const filterOf = (options: FilterOptions): JobFilter | undefined => {
  const { state, queue, class: jobClass, label, batch } = options
  const filter = {
    ...(state && { states: state }),
    ...(queue !== undefined && { queueName: queue }),
    ...(jobClass !== undefined && { jobClass }),
    ...(label !== undefined && { label }),
    ...(batch !== undefined && { batchId: batch }),
  }
  return Object.keys(filter).length > 0 ? filter : undefined
}

/** `good-job jobs …`: shows jobs, and performs the dashboard's actions. */
export const addJobsCommands = (program: Command): void => {
  const jobs = program.command('jobs').description('show jobs, and perform the actions of the dashboard')
  addListCommand(jobs)
  const show = addSessionOptions(jobs.command('show').description('show one job with its arguments and attempts'))
    .argument('<id>', 'job id', parseId)
    .action((id: string) => showJob(show, id))
  addWhyCommand(jobs)
  addActions(jobs)
}

const addListCommand = (jobs: Command): void => {
  const command = jobs.command('list').description('list jobs, newest first')
  addSessionOptions(addFilterOptions(command))
    .option('--limit <rows>', 'rows per page', parseLimit, 25)
    .option('--after <page>', 'the next page, as the previous page printed it', parseCursor)
    .action(() => listPage(command))
}

/** A search for few matches among many jobs ends after this time, prints what it found and reports how far it came. */
const SEARCH_MS = 150
const READ = { timeoutMs: 60_000 }

const listPage = (command: Command): Promise<void> =>
  withSession(command, async ({ adapter, isJson, now, timestamp }) => {
    const { limit, after, ...options } = command.opts<FilterOptions & { limit: number; after?: JobCursor }>()
    const filter = filterOf(options) ?? {}
    const query = { filter, now: timestamp, limit, after, budgetMs: SEARCH_MS }
    const { jobs, next, isCut } = await boundedRead(adapter.database, READ, (db) => listJobs(db, query))
    const page = await withThrownAs(adapter, jobs)
    if (isJson) return printJson({ jobs: page.map(jobJson), next: next ? cursorText(next) : null, is_cut: isCut })
    if (page.length > 0 || !isCut) print(page.length > 0 ? drawJobs(page, now) : 'No jobs.')
    if (next === undefined) return
    const more = isCut ? `Searched back to ${timeText(next.at)}; further back` : 'More'
    print(`\n${more}: --after ${cursorText(next)}`)
  })

const showJob = (command: Command, id: string): Promise<void> =>
  withSession(command, async ({ adapter, isJson, now, timestamp }) => {
    const db = adapter.database.pool
    const job = await findJob(db, id, timestamp)
    if (job === undefined) throw new RecordMissingError(`there is no job ${id}`)
    const executions = await findExecutions(db, id)
    const failed = executions.findLast(({ error }) => error !== null)
    const shown = { ...job, thrown_as: job.error === null ? null : thrownAs(failed?.error_backtrace) }
    const waits = job.finished_at === null && job.locked_by_id === null
    const explanation = waits ? await adapter.why(id) : undefined
    if (isJson) return printJson({ ...jobJson(shown), executions, why: snakeCase(explanation ?? null) })
    print(drawJob(shown, executions, explanation && explanationLines(explanation, now)))
  })

/** Adds the JavaScript class of each error: good_jobs names its Ruby equivalent. */
const withThrownAs = async <J extends { readonly id: string; readonly error: string | null }>(
  adapter: Adapter,
  jobs: readonly J[],
): Promise<(J & { readonly thrown_as: string | null })[]> => {
  const failed = jobs.filter(({ error }) => error !== null).map(({ id }) => id)
  const backtraces = await findLastBacktraces(adapter.database.pool, failed)
  return jobs.map((job) => ({ ...job, thrown_as: thrownAs(backtraces.get(job.id)) }))
}

const thrownAs = (backtrace: readonly string[] | null | undefined): string | null =>
  javaScriptNameIn(backtrace ?? null) ?? null

const ACTIONS: readonly JobAction[] = [
  {
    name: 'retry',
    done: 'retried',
    text: 'run discarded jobs again',
    states: ['discarded'],
    act: (adapter, id) => adapter.retryJob(id),
  },
  {
    name: 'discard',
    done: 'discarded',
    text: 'end waiting jobs as discarded',
    states: ['scheduled', 'retried', 'queued'],
    act: (adapter, id, { message }) => adapter.discardJob(id, message),
  },
  {
    name: 'force-discard',
    done: 'discarded',
    text: 'end unfinished jobs as discarded, including running ones',
    states: ['scheduled', 'retried', 'queued', 'running'],
    act: (adapter, id, { message }) => adapter.forceDiscardJob(id, message),
  },
  {
    name: 'reschedule',
    done: 'rescheduled',
    text: 'move the start of waiting jobs',
    states: ['scheduled', 'retried', 'queued'],
    act: (adapter, id, { at }) => adapter.rescheduleJob(id, at ?? adapter.clock.now()),
  },
  {
    name: 'destroy',
    done: 'destroyed',
    text: 'delete finished jobs and their history',
    states: ['succeeded', 'discarded'],
    act: (adapter: Adapter, id) => adapter.destroyJob(id),
  },
  {
    name: 'release',
    done: 'released',
    text: 'release jobs of a worker that is gone for good and left no process row',
    states: ['running'],
    act: (adapter, id) => adapter.releaseJob(id),
  },
]

const parseTime = (text: string): Date => {
  const wait = /^\+(\d+)$/.exec(text)?.[1]
  const time = wait === undefined ? new Date(text) : new Date(Date.now() + Number(wait) * 1000)
  if (!Number.isNaN(time.getTime())) return time
  throw new InvalidArgumentError('Expected a time such as 2026-01-31T12:00:00Z, or +60 for in 60 seconds.')
}

const addActions = (jobs: Command): void => {
  for (const action of ACTIONS) {
    const command = addSessionOptions(
      addFilterOptions(jobs.command(action.name).description(`${action.text}: by id, or all that match`)),
    )
      .argument('[id...]', 'job ids', parseIds)
      .option('--yes', 'act on all matching jobs without asking')
    if (action.name === 'discard') addMistakenOptions(command, { '--force': 'good-job jobs force-discard' })
    if (action.name.endsWith('discard')) command.option('--message <text>', 'stored as the error')
    if (action.name === 'reschedule') command.option('--at <time>', 'ISO time, or +seconds (default: now)', parseTime)
    command.action((ids: string[]) => actOnJobs(command, action, { ids, filter: filterOf(command.opts()) }))
  }
}
