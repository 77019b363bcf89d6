import { type Command, InvalidArgumentError, Option } from 'commander'
import { resolveConfiguration } from '../../configuration.ts'
import { parseCron } from '../../cron/expression/cron-expression.ts'
import { expressionOptions } from '../../cron/zone.ts'
import type { Job } from '../../job/base.ts'
import { JobRegistry } from '../../job/definition/registry.ts'
import { PartialFailure } from '../failure.ts'
import { print, printJson, snakeCase } from '../output.ts'
import { addSessionOptions, type CommandSession, withSession } from '../session.ts'
import { cronOptions } from '../start/cron-options.ts'
import { loadModules } from '../start/load-jobs.ts'
import { addWorkerOptions, workerOptionsOf } from '../start/worker-options.ts'
import { drawEntries, drawInstants } from './view.ts'

const NOTE = `
Entries are those of GOOD_JOB_CRON, or those that the modules export as cron and --cron. Workers enqueue their jobs if they run with
--enable-cron.`

/** `good-job cron …`: shows, runs and switches cron entries. */
export const addCronCommands = (program: Command): void => {
  const cron = program.command('cron').description('show, run and switch cron entries')
  addList(cron)
  addNext(cron)
  addRun(cron)
  addSwitch(cron, 'enable', 'let workers enqueue the jobs of an entry', true)
  addSwitch(cron, 'disable', 'keep workers from enqueueing the jobs of an entry', false)
}

const addEntryOptions = (command: Command): Command =>
  addWorkerOptions(addSessionOptions(command), ['cron', 'cronZone']).addHelpText('after', NOTE)

const MODULES = ['[module...]', 'modules that export cron, and the classes that entries name'] as const

const addList = (cron: Command): void => {
  const list = addEntryOptions(cron.command('list').description('list entries: next instants, last run, on or off'))
  list.argument(...MODULES).action((modules: string[]) =>
    withEntries(list, modules, async ({ adapter, isJson, now }) => {
      const entries = await adapter.cron.list()
      if (isJson) return printJson(snakeCase(entries))
      print(entries.length === 0 ? 'There are no entries.' : drawEntries(entries, now))
    }),
  )
}

const addNext = (cron: Command): void => {
  const next = cron
    .command('next')
    .description('print the next instants of a schedule')
    .argument('<expression>', 'cron fields in quotes, such as "0 6 * * mon-fri"')
    .option('--zone <zone>', 'zone of the fields if they name none (default: TZ, otherwise UTC)')
    .option('--count <number>', 'number of instants', parseCount, 5)
    .addOption(new Option('--json', 'print JSON for machines').helpGroup('Output:'))
  next.action((text: string) => {
    const { zone, count, json } = next.opts<{ zone?: string; count: number; json?: boolean }>()
    const configuration = resolveConfiguration(zone === undefined ? {} : { cronZone: zone })
    const expression = parseCron(text, expressionOptions(configuration))
    const instants = expression.upcoming(new Date(), count)
    if (json === true) return printJson({ expression: text, zone: expression.zone, next: instants })
    print(drawInstants(instants, expression.zone))
  })
}

const MAX_COUNT = 1_000

const parseCount = (text: string): number => {
  const count = Number(text)
  if (Number.isInteger(count) && count > 0 && count <= MAX_COUNT) return count
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MAX_COUNT}.`)
}

const addRun = (cron: Command): void => {
  const run = addEntryOptions(
    cron.command('run').description('enqueue the job of an entry now, also of a disabled one'),
  )
  run
    .argument('<key>', 'key of the entry')
    .argument(...MODULES)
    .action((key: string, modules: string[]) =>
      withEntries(run, modules, async ({ adapter, isJson }) => {
        const job = await adapter.cron.run(key)
        if (isJson) printJson({ key, ...runJson(job) })
        else print(job ? `Enqueued ${job.jobClass} ${job.jobId} in the queue ${job.queueName}.` : NOT_ENQUEUED)
        if (!job) throw new PartialFailure(NOT_ENQUEUED)
      }),
    )
}

const runJson = (job: Job | false) =>
  job ? { job_id: job.jobId, job_class: job.jobClass, queue_name: job.queueName } : { job_id: null }

const NOT_ENQUEUED =
  'Nothing was enqueued: a callback, a concurrency rule or the class function of the entry refused it.'

const addSwitch = (cron: Command, name: string, description: string, isOn: boolean): void => {
  const command = addEntryOptions(cron.command(name).description(description))
  command
    .argument('<key>', 'key of the entry')
    .argument(...MODULES)
    .action((key: string, modules: string[]) =>
      withEntries(command, modules, async ({ adapter, isJson }) => {
        await (isOn ? adapter.cron.enable(key) : adapter.cron.disable(key))
        if (isJson) printJson({ key, is_enabled: isOn })
        else print(`${key} is ${isOn ? 'enabled' : 'disabled'} for all workers.`)
      }),
    )
}

/** Opens a session whose adapter knows the entries and classes of the modules. */
const withEntries = async (
  command: Command,
  modules: readonly string[],
  work: (session: CommandSession) => Promise<void>,
): Promise<void> => {
  const { jobs, cron } = await loadModules(modules)
  const registry = new JobRegistry()
  for (const jobClass of jobs) registry.register(jobClass)
  return withSession(command, work, { registry, ...cronOptions(cron, workerOptionsOf(command)) })
}
