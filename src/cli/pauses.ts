import type { Command } from 'commander'
import { pc } from '../colors.ts'
import type { PauseTarget } from '../maintenance/pauses.ts'
import type { WorkerProcess } from '../maintenance/worker-processes.ts'
import { workerProcess } from '../maintenance/worker-processes.ts'
import { listProcesses } from '../sql/process/list.ts'
import { PartialFailure, UsageError } from './failure.ts'
import { print, printJson, snakeCase } from './output.ts'
import { addSessionOptions, type CommandSession, withSession } from './session.ts'

const NOTE = `
Workers honour pauses when GOOD_JOB_ENABLE_PAUSES is on. Running jobs continue; waiting jobs start with the next poll after the pause.`

/** `good-job pauses`, `pause`, `unpause`: the functions of the dashboard's page of pauses. */
export const addPausesCommands = (program: Command): void => {
  const pauses = addSessionOptions(program.command('pauses').description('show what is paused'))
  pauses.action(() => withSession(pauses, show)).addHelpText('after', NOTE)
  addChange(program, 'pause', 'pause a queue, class or label: no job of it is started', async ({ adapter }, target) => {
    await adapter.pause(target)
    return true
  })
  addChange(program, 'unpause', 'end a pause', ({ adapter }, target) => adapter.unpause(target))
}

const addChange = (
  program: Command,
  name: 'pause' | 'unpause',
  description: string,
  change: (session: CommandSession, target: PauseTarget) => Promise<boolean>,
): void => {
  const command = addSessionOptions(program.command(name).description(description))
    .option('--queue <name>', 'jobs of this queue')
    .option('--class <name>', 'jobs of this class, by its name in the rows')
    .option('--label <label>', 'jobs with this label')
    .addHelpText('after', NOTE)
  command.action(() => {
    const target = targetOf(command)
    return withSession(command, async (session) => {
      if (!(await change(session, target)) && !session.isJson) print('That was not paused.')
      await show(session)
      if (name === 'pause') await warnOfWorkers(session)
    })
  })
}

const PROCESSES = 1_000

/** Warns of live workers that ignore pauses. @throws PartialFailure when no live worker honours pauses */
const warnOfWorkers = async ({ adapter, isJson }: CommandSession): Promise<void> => {
  const { database } = adapter
  const rows = await listProcesses(database.pool, await database.facts(), PROCESSES)
  const processes = rows.map(workerProcess).filter(({ is_alive }) => is_alive)
  const say = (text: string) => void process.stderr.write(`${pc.yellow('warning:')} ${text}\n`)
  if (ignoresPauses(processes)) {
    say(`The pause is stored, but ${NO_WORKER_HONOURS_PAUSES}`)
    throw new PartialFailure(NO_WORKER_HONOURS_PAUSES)
  }
  if (isJson) return
  for (const { hostname, pid, honours_pauses } of processes) {
    if (honours_pauses === false) say(`worker ${hostname}:${pid} ignores pauses: started without --enable-pauses`)
  }
}

const targetOf = (command: Command): PauseTarget => {
  const { queue, class: jobClass, label } = command.opts<{ queue?: string; class?: string; label?: string }>()
  if ([queue, jobClass, label].filter(Boolean).length !== 1)
    throw new UsageError('name exactly one of --queue, --class and --label')
  return { ...(queue && { queue }), ...(jobClass && { jobClass }), ...(label && { label }) }
}

const show = async ({ adapter, isJson }: CommandSession): Promise<void> => {
  const pauses = await adapter.paused()
  if (isJson) return printJson(snakeCase(pauses))
  const lines = [
    ...pauses.queues.map((name) => `queue  ${name}`),
    ...pauses.jobClasses.map((name) => `class  ${name}`),
    ...pauses.labels.map((name) => `label  ${name}`),
  ]
  print(lines.length === 0 ? 'Nothing is paused.' : lines.join('\n'))
}

export const NO_WORKER_HONOURS_PAUSES =
  'no live worker honours pauses: start workers with --enable-pauses (GOOD_JOB_ENABLE_PAUSES; in Rails config.good_job.enable_pauses)'

/** Whether no live worker honours pauses. Ruby workers do not publish it, so one of them may. */
export const ignoresPauses = (processes: readonly WorkerProcess[]): boolean =>
  processes.every(({ is_alive, honours_pauses }) => !is_alive || honours_pauses === false)
