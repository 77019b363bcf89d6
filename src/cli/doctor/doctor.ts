import type { Command } from 'commander'
import type { UnprovenBatch } from '../../batch/completion/unproven.ts'
import { pc } from '../../colors.ts'
import type { Pauses } from '../../job/pauses.ts'
import {
  type UnservedJobs,
  unservedJobs,
  type WorkerProcess,
  workerProcess,
} from '../../maintenance/worker-processes.ts'
import { type AbandonedJob, findAbandonedJobs } from '../../sql/jobs/abandoned.ts'
import { findPassedJobs } from '../../sql/jobs/passed.ts'
import { findWaitingJobs } from '../../sql/jobs/waiting.ts'
import { listProcesses, readServer, type ServerFacts } from '../../sql/process/list.ts'
import { readTables } from '../../sql/schema/catalog.ts'
import { checkSchema, type SchemaReport } from '../../sql/schema/schema.ts'
import { findUnproven, searchedText } from '../batches/list.ts'
import { PartialFailure } from '../failure.ts'
import { agoText, plural, print, printJson, snakeCase } from '../output.ts'
import { ignoresPauses, NO_WORKER_HONOURS_PAUSES } from '../pauses.ts'
import { schemaText } from '../schema.ts'
import { addSessionOptions, type CommandSession, withSession } from '../session.ts'
import { abandonedAdvice, abandonedProblems, MAX_ABANDONED } from './abandoned.ts'
import { type Advice, MANY_PASSED, passedJobsAdvice } from './advice.ts'
import { concurrencyProblems, rubyCountAdvice } from './limited.ts'

interface Findings {
  readonly server: ServerFacts | undefined
  readonly schema: SchemaReport
  readonly processes: readonly WorkerProcess[]
  /** Due jobs that no live process will start, because no process serves the queue or none has the class. */
  readonly unservedJobs: readonly UnservedJobs[]
  /** True if more jobs are due than were read; the counts are then minimums. */
  readonly isCapped: boolean
  readonly paused: Pauses
  readonly unprovenBatches: readonly UnprovenBatch[]
  /** Jobs locked by a process that has no row. */
  readonly abandonedJobs: readonly AbandonedJob[]
  /** Where the search for unproven batches stopped early. */
  readonly unprovenSearch: string | undefined
  /** Problems with concurrency rules, in words. */
  readonly concurrency: readonly string[]
  /** Possible improvements; none of them is a problem. */
  readonly advice: readonly Advice[]
}

/** `good-job doctor`: checks connection, tables, workers, jobs and batches. */
export const addDoctorCommand = (program: Command): void => {
  const command = addSessionOptions(
    program
      .command('doctor')
      .description('check connection, tables, workers, jobs that no worker runs, and batches that cannot recover'),
  )
  command.action(() =>
    withSession(command, async (session) => {
      const findings = await examine(session)
      const problems = problemsOf(findings)
      if (session.isJson) printJson(snakeCase({ isHealthy: problems.length === 0, problems, ...findings }))
      else draw(findings, problems, session.now)
      if (problems.length > 0) throw new PartialFailure(problems.join('; '))
    }),
  )
}

/** At most this many due jobs are read, the oldest first. */
const MAX_WAITING = 20_000
const PROCESSES = 1_000
const UNPROVEN = 20

const examine = async (session: CommandSession): Promise<Findings> => {
  const { adapter, timestamp } = session
  const db = adapter.database.pool
  const schema = await checkSchema(db)
  const paused: Pauses = { queues: [], jobClasses: [], labels: [] }
  const nothing = {
    processes: [],
    unservedJobs: [],
    isCapped: false,
    paused,
    unprovenBatches: [],
    abandonedJobs: [],
    unprovenSearch: undefined,
    concurrency: [],
    advice: [],
  }
  if (schema.capabilities === undefined) return { server: undefined, schema, ...nothing }
  const server = await readServer(db)
  const rows = await listProcesses(db, await adapter.database.facts(), PROCESSES)
  const processes = rows.map(workerProcess)
  const unproven = await findUnproven(session, { limit: UNPROVEN })
  const waiting = await findWaitingJobs(db, timestamp, MAX_WAITING)
  return {
    server,
    schema,
    processes,
    unservedJobs: unservedJobs(waiting, processes),
    isCapped: waiting.reduce((total, { jobs }) => total + jobs, 0) === MAX_WAITING,
    paused: await adapter.paused(),
    unprovenBatches: unproven.batches,
    unprovenSearch: searchedText(unproven),
    abandonedJobs: await findAbandonedJobs(db, MAX_ABANDONED),
    concurrency: await concurrencyProblems(db, processes),
    advice: server === undefined ? [] : await adviseOn(session, server, processes),
  }
}

const adviseOn = async (
  { adapter, timestamp }: CommandSession,
  { version }: ServerFacts,
  processes: readonly WorkerProcess[],
): Promise<Advice[]> => {
  const db = adapter.database.pool
  const passed = await findPassedJobs(db, await adapter.database.facts(), timestamp, MANY_PASSED)
  const pools = processes.filter(({ is_alive }) => is_alive).flatMap((process) => process.pools)
  const definitions = [...((await readTables(db)).get('good_jobs')?.indexes.values() ?? [])]
  return [
    ...passedJobsAdvice(passed, { pools, definitions, version }),
    ...(await rubyCountAdvice(db, await adapter.database.facts(), { processes, definitions })),
  ]
}

const problemsOf = (findings: Findings): string[] => {
  const { server, schema, processes, unprovenBatches, abandonedJobs } = findings
  return [
    ...(schema.capabilities === undefined ? ['no worker can run on these tables'] : []),
    ...(schema.version3Writer === undefined ? [] : [schema.version3Writer]),
    ...(server?.is_standby ? ['the server is a read-only standby'] : []),
    ...(server?.may_write === false ? [`user ${server.user} may not write good_jobs`] : []),
    ...(server !== undefined && !processes.some(({ is_alive }) => is_alive) ? ['no worker process is alive'] : []),
    ...(processes.some(({ is_alive }) => !is_alive)
      ? ['there are dead processes whose rows have not been cleaned up']
      : []),
    ...findings.unservedJobs.map((jobs) => unservedText(jobs, findings.isCapped)),
    ...(pausesAreIgnored(findings) ? [IGNORED_PAUSES] : []),
    ...(unprovenBatches.length > 0
      ? [`${plural(unprovenBatches.length, 'batch')} cannot prove that nothing was lost`]
      : []),
    ...abandonedProblems(abandonedJobs),
    ...findings.concurrency,
  ]
}

const unservedText = ({ queue_name, job_class, jobs, lacks }: UnservedJobs, isCapped: boolean): string => {
  const count = `${plural(jobs, 'due job')}${isCapped ? ' or more' : ''}`
  const queue = `queue "${queue_name ?? ''}"`
  if (lacks === 'queue') return `${queue} has ${count} of class ${job_class} and no worker`
  return `no worker of ${queue} has class ${job_class}; ${count} wait${jobs === 1 ? 's' : ''} for one`
}

const IGNORED_PAUSES = `something is paused, but ${NO_WORKER_HONOURS_PAUSES}`

const pausesAreIgnored = ({ paused, processes }: Findings): boolean =>
  [...paused.queues, ...paused.jobClasses, ...paused.labels].length > 0 && ignoresPauses(processes)

const draw = (findings: Findings, problems: readonly string[], now: Date): void => {
  const { server, schema, processes, unprovenBatches, unprovenSearch, abandonedJobs, advice } = findings
  if (server !== undefined) {
    const { version, database, user, is_standby, may_write } = server
    const isGood = !is_standby && may_write
    line(
      isGood,
      `Postgres ${version}, database "${database}", user ${user}${may_write ? '' : ' (may not write good_jobs)'}`,
    )
  }
  for (const text of schemaText(schema)) print(text)
  if (server !== undefined) {
    drawProcesses(processes, now)
    drawUnserved(findings, now)
    if (pausesAreIgnored(findings)) line(false, `${IGNORED_PAUSES}.`)
    line(
      unprovenBatches.length === 0,
      unprovenBatches.length === 0 ? 'No unproven batches.' : 'Unproven batches (good-job batches list --unproven):',
    )
    for (const { id, description, reason } of unprovenBatches) print(`    ${id} ${description ?? ''}: ${reason}`)
    if (unprovenSearch !== undefined) print(`    ${unprovenSearch}`)
    for (const problem of abandonedProblems(abandonedJobs)) {
      line(false, `${problem}.`)
      for (const text of abandonedAdvice(abandonedJobs)) print(`    ${text}`)
    }
    for (const problem of findings.concurrency) line(false, `${problem}.`)
    for (const { text, statements } of advice) {
      print(`${pc.yellow('●')} ${text}`)
      for (const statement of statements) print(`    ${statement}`)
    }
  }
  print(problems.length === 0 ? pc.green('\nAll is well.') : pc.red(`\n${plural(problems.length, 'problem')}.`))
}

const drawProcesses = (processes: readonly WorkerProcess[], now: Date): void => {
  const alive = processes.filter(({ is_alive }) => is_alive)
  const dead = processes.length - alive.length
  const isGood = alive.length > 0 && dead === 0
  const deadText = dead > 0 ? `, and ${plural(dead, 'dead process')} whose row has not been cleaned up` : ''
  line(
    isGood,
    alive.length > 0
      ? `${plural(alive.length, 'worker process')}${deadText}:`
      : `No worker process is alive${deadText}.`,
  )
  for (const each of processes) print(`    ${processText(each, now)}`)
}

const drawUnserved = ({ unservedJobs, isCapped }: Findings, now: Date): void => {
  if (unservedJobs.length === 0)
    line(true, isCapped ? `A worker runs each of the ${MAX_WAITING} oldest due jobs.` : 'Every due job has a worker.')
  for (const jobs of unservedJobs) {
    const text = unservedText(jobs, isCapped)
    line(false, `${text[0]?.toUpperCase()}${text.slice(1)}, the oldest since ${agoText(jobs.oldest_at, now)}.`)
  }
}

const line = (isGood: boolean, text: string): void => print(`${isGood ? pc.green('✔') : pc.red('✖')} ${text}`)

const processText = (process: WorkerProcess, now: Date): string => {
  const { hostname, pid, pools, updated_at, is_alive, running_jobs, job_classes, deletes_finished_jobs } = process
  const classes = job_classes === null ? '' : `, ${plural(job_classes.length, 'class')}`
  const notes = deletes_finished_jobs ? ', deletes finished jobs (batches cannot prove their recovery)' : ''
  const text = `${hostname}:${pid}  ${pools.join(' ; ')}${classes}, ${plural(running_jobs, 'running job')}, last seen ${agoText(updated_at, now)}${notes}`
  return is_alive ? text : pc.red(`${text}, dead`)
}
