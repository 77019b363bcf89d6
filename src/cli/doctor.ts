import type { Command } from 'commander'
import { pc } from '../colors.ts'
import { findWaitingQueues } from '../sql/job-list.ts'
import { findPassedJobs } from '../sql/passed-jobs.ts'
import { listProcesses, readServer, type ServerFacts } from '../sql/process-list.ts'
import { checkSchema, type SchemaReport } from '../sql/schema.ts'
import { readTables } from '../sql/schema-catalog.ts'
import { findUnproven, type UnprovenBatch } from './batches-list.ts'
import { type Advice, MANY_PASSED, passedJobsAdvice } from './doctor-advice.ts'
import { type DoctorProcess, doctorProcess, type IdleQueue, idleQueues } from './doctor-processes.ts'
import { PartialFailure } from './failure.ts'
import { agoText, plural, print, printJson, snakeCase } from './output.ts'
import { schemaText } from './schema.ts'
import { addSessionOptions, type Session, withSession } from './session.ts'

interface Findings {
  readonly server: ServerFacts | undefined
  readonly schema: SchemaReport
  readonly processes: readonly DoctorProcess[]
  /** Queues with due jobs that no live process serves. */
  readonly queuesWithoutWorker: readonly IdleQueue[]
  readonly unprovenBatches: readonly UnprovenBatch[]
  /** No problems. */
  readonly advice: readonly Advice[]
}

/** `good-job doctor`: is everything as it should be? */
export const addDoctorCommand = (program: Command): void => {
  const command = addSessionOptions(
    program
      .command('doctor')
      .description('check connection, tables, processes, queues that nobody serves, and batches that cannot recover'),
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

const ROWS_TO_LOOK_AT = 100_000
const PROCESSES = 1_000
const UNPROVEN = 20

const examine = async (session: Session): Promise<Findings> => {
  const { adapter, timestamp } = session
  const db = adapter.database.pool
  const schema = await checkSchema(db)
  const nothing = { processes: [], queuesWithoutWorker: [], unprovenBatches: [], advice: [] }
  if (schema.capabilities === undefined) return { server: undefined, schema, ...nothing }
  const server = await readServer(db)
  const rows = await listProcesses(db, await adapter.database.facts(), PROCESSES)
  const processes = rows.map(doctorProcess)
  const waiting = await findWaitingQueues(db, timestamp, ROWS_TO_LOOK_AT)
  return {
    server,
    schema,
    processes,
    queuesWithoutWorker: idleQueues(waiting, processes),
    unprovenBatches: await findUnproven(session, UNPROVEN),
    advice: server === undefined ? [] : await adviseOn(session, server, processes),
  }
}

const adviseOn = async (
  { adapter, timestamp }: Session,
  { version }: ServerFacts,
  processes: readonly DoctorProcess[],
): Promise<Advice[]> => {
  const db = adapter.database.pool
  const passed = await findPassedJobs(db, await adapter.database.facts(), timestamp, MANY_PASSED)
  const pools = processes.filter(({ is_alive }) => is_alive).flatMap((process) => process.pools)
  const definitions = [...((await readTables(db)).get('good_jobs')?.indexes.values() ?? [])]
  return passedJobsAdvice(passed, { pools, definitions, version })
}

const problemsOf = ({ server, schema, processes, queuesWithoutWorker, unprovenBatches }: Findings): string[] => [
  ...(schema.capabilities === undefined ? ['no worker can run on these tables'] : []),
  ...(schema.version3Writer === undefined ? [] : [schema.version3Writer]),
  ...(server?.is_standby ? ['the server is a standby, which only reads'] : []),
  ...(server?.may_write === false ? [`user ${server.user} may not write good_jobs`] : []),
  ...(processes.some(({ is_alive }) => !is_alive) ? ['there are dead processes whose rows nobody has cleaned up'] : []),
  ...queuesWithoutWorker.map(
    ({ queue_name, jobs }) => `queue "${queue_name}" has ${plural(jobs, 'due job')} and no worker`,
  ),
  ...(unprovenBatches.length > 0
    ? [`${plural(unprovenBatches.length, 'batch')} cannot prove that nothing was lost`]
    : []),
]

const draw = (findings: Findings, problems: readonly string[], now: Date): void => {
  const { server, schema, processes, queuesWithoutWorker, unprovenBatches, advice } = findings
  if (server !== undefined) {
    const { version, database, user, is_standby, may_write } = server
    const isGood = !is_standby && may_write
    line(
      isGood,
      `Postgres ${version}, database "${database}", user ${user}${may_write ? '' : ' (may not write good_jobs)'}`,
    )
  }
  for (const text of schemaText(schema)) print(text)
  if (server === undefined) return
  const alive = processes.filter(({ is_alive }) => is_alive)
  line(
    alive.length > 0,
    alive.length > 0 ? `${plural(alive.length, 'worker process')}:` : 'No worker process is alive.',
  )
  for (const each of processes) print(`    ${processText(each, now)}`)
  if (queuesWithoutWorker.length === 0) line(true, 'Every queue with due jobs has a worker.')
  for (const { queue_name, jobs, oldest_at } of queuesWithoutWorker) {
    line(
      false,
      `Queue "${queue_name}": ${plural(jobs, 'due job')}, the oldest since ${agoText(oldest_at, now)}, and no worker serves it.`,
    )
  }
  line(
    unprovenBatches.length === 0,
    unprovenBatches.length === 0 ? 'No unproven batches.' : 'Unproven batches (good-job batches list --unproven):',
  )
  for (const { id, description, reason } of unprovenBatches) print(`    ${id} ${description ?? ''}: ${reason}`)
  for (const { text, statements } of advice) {
    print(`${pc.yellow('●')} ${text}`)
    for (const statement of statements) print(`    ${statement}`)
  }
  print(problems.length === 0 ? pc.green('\nAll is well.') : pc.red(`\n${plural(problems.length, 'problem')}.`))
}

const line = (isGood: boolean, text: string): void => print(`${isGood ? pc.green('✔') : pc.red('✖')} ${text}`)

const processText = (process: DoctorProcess, now: Date): string => {
  const { hostname, pid, pools, updated_at, is_alive, running_jobs, deletes_finished_jobs } = process
  const notes = deletes_finished_jobs ? ', deletes finished jobs (batches cannot prove their recovery)' : ''
  const text = `${hostname}:${pid}  ${pools.join(' ; ')}  ${plural(running_jobs, 'running job')}, heard of ${agoText(updated_at, now)}${notes}`
  return is_alive ? text : pc.red(`${text}, dead`)
}
