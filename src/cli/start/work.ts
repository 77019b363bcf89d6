import { parseQueueString } from '../../claim/queue-string.ts'
import type { ReadyReport } from '../../cluster/messages.ts'
import type { Options } from '../../configuration.ts'
import { ConfigurationError, ModuleError } from '../../errors.ts'
import { setDefaultQueueAdapter } from '../../job/adapters/queue-adapter.ts'
import type { Logger } from '../../job/logger.ts'
import { attachLogSubscriber } from '../../observe/log-subscriber.ts'
import { Presence } from '../../probe/presence.ts'
import { Capsule } from '../../worker/capsule.ts'
import { queueWarnings } from '../doctor/queue-warnings.ts'
import { describeFailure } from '../failure.ts'
import { plural } from '../output.ts'
import { cronOptions } from './cron-options.ts'
import { LifecycleHooks } from './hooks.ts'
import { type LoadedModules, loadModules } from './load-jobs.ts'
import { poolsText } from './pools-text.ts'
import type { ProcessOptions } from './process-options.ts'
import { runUntilEnd } from './run-until-end.ts'
import type { SupervisorLink } from './supervisor-link.ts'

export interface WorkOptions {
  readonly options: Options
  readonly modules: readonly string[]
  readonly logger: Logger
  readonly isJson: boolean
  readonly isVerbose: boolean
  /** Of a subprocess. */
  readonly link: SupervisorLink | undefined
  readonly processOptions: ProcessOptions
}

/** Works in this process until something ends it. @returns the exit code @throws the error of a start that failed */
export const work = async (given: WorkOptions): Promise<number> => {
  const { link } = given
  if (link === undefined) return run(given, await prepare(given))
  process.title = `good_job subprocess ${link.role.index}`
  // The capsule writes no lines before its start and after its end.
  attachLogSubscriber(given.logger)
  try {
    const loaded = await prepare(given)
    const hooks = await LifecycleHooks.load(given.processOptions.hooks)
    await hooks.run('beforeSubprocessBoot', link.role.index)
    return await run(given, loaded)
  } catch (error) {
    if (!(error instanceof ConfigurationError || error instanceof ModuleError)) throw error
    const { text, code } = describeFailure(error, given)
    if (!(await link.refuse(text, code))) process.stderr.write(text)
    return code
  }
}

let capsule: Capsule | undefined

const prepare = async ({ modules }: WorkOptions): Promise<LoadedModules> => {
  // The modules may read Job.queueAdapter while they load.
  setDefaultQueueAdapter(() => {
    if (capsule === undefined)
      throw new Error('Job.queueAdapter is available once the worker starts, not while modules load')
    return capsule.adapter
  })
  return loadModules(modules)
}

const run = async (given: WorkOptions, { jobs, cron }: LoadedModules): Promise<number> => {
  const { logger, link, isJson } = given
  const options = optionsOf(given)
  const worker = new Capsule({ jobs, logger, catchRejections: false, ...options, ...cronOptions(cron, options) })
  if (cron !== undefined && process.env.GOOD_JOB_CRON) logger.warn({}, CRON_IS_EXPORTED)
  capsule = worker
  const { queues, threads } = worker.configuration
  for (const text of queueWarnings(queues, parseQueueString(queues, threads), jobs)) logger.warn({}, text)
  if (link !== undefined) {
    const onReady = () => link.ready(reportOf(worker), worker.health)
    return runUntilEnd(worker, logger, { onReady, onStopping: () => undefined, link })
  }
  const presence = await Presence.open(given.processOptions, worker.health, logger)
  const code = await runUntilEnd(worker, logger, {
    onReady: () => {
      process.stdout.write(`${readyLine(worker, isJson)}\n`)
      presence.ready()
    },
    onStopping: () => presence.stopping(),
    link,
  })
  presence.close()
  return code
}

const CRON_IS_EXPORTED =
  'GOOD_JOB_CRON is ignored, because the modules export cron entries; --cron adds entries to them'

/** A subprocess has the queues of its group. Only the first one enqueues cron jobs: the others would be refused each time. */
const optionsOf = ({ options, link }: WorkOptions): Options => {
  if (link === undefined) return options
  const { queues, index } = link.role
  return { ...options, queues, ...(index === 0 ? {} : { enableCron: false }) }
}

const poolsOf = ({ configuration }: Capsule) =>
  parseQueueString(configuration.queues, configuration.threads).map(({ name, maxThreads }) => ({
    queues: name,
    max_threads: maxThreads,
  }))

const reportOf = (worker: Capsule): ReadyReport => ({
  processId: worker.processId,
  pools: poolsOf(worker),
  jobClasses: worker.registry.names(),
})

const readyLine = (worker: Capsule, isJson: boolean): string => {
  const { configuration, processId, registry } = worker
  const pools = poolsOf(worker)
  const classes = registry.names().sort()
  const keys = configuration.enableCron ? Object.keys(configuration.cron) : []
  if (isJson) {
    const ready = { status: 'ready', pid: process.pid, process_id: processId, pools, job_classes: classes }
    return JSON.stringify(keys.length === 0 ? ready : { ...ready, cron_keys: keys })
  }
  const current = registry.describe()
  const cronText = keys.length === 0 ? '' : `, cron: ${keys.join(', ')}`
  return `good-job ready: pid ${process.pid}, process ${processId}, pools ${poolsText(pools)}, ${plural(current.length, 'job class')}: ${current.join(', ')}${cronText}`
}
