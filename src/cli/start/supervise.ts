import { type ChildProcess, fork } from 'node:child_process'
import type { ClusterPlan } from '../../cluster/plan.ts'
import { type ReadySubprocess, Supervisor } from '../../cluster/supervisor.ts'
import type { Logger } from '../../job/logger.ts'
import { attachLogSubscriber } from '../../observe/log-subscriber.ts'
import { Presence } from '../../probe/presence.ts'
import { plural } from '../output.ts'
import { LifecycleHooks } from './hooks.ts'
import { watchLauncher } from './launcher.ts'
import { poolsText } from './pools-text.ts'
import type { ProcessOptions } from './process-options.ts'
import type { SubprocessRole } from './supervisor-link.ts'

export interface SuperviseOptions {
  readonly plan: ClusterPlan
  readonly logger: Logger
  readonly processOptions: ProcessOptions
  readonly shutdownTimeoutMs: number
  readonly isJson: boolean
}

/** Variables that systemd sets for the process that it started; a subprocess must not act on them. */
const OF_SYSTEMD = ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']

/** Runs the worker as several processes until a signal ends it. @returns the exit code */
export const supervise = async (options: SuperviseOptions): Promise<number> => {
  const { plan, logger, processOptions, shutdownTimeoutMs, isJson } = options
  const hooks = await LifecycleHooks.load(processOptions.hooks)
  attachLogSubscriber(logger)
  process.title = `good_job supervisor [${plan.queues.length} subprocesses]`
  for (const text of plan.warnings) logger.warn({}, text)
  const supervisor = new Supervisor({
    subprocesses: plan.queues.length,
    fork: (index) => forkSubprocess({ index, queues: plan.queues[index] ?? '*' }),
    beforeFork: (index) => hooks.run('beforeSupervisorFork', index),
    shutdownTimeoutMs,
    onReady: (subprocesses) => {
      process.stdout.write(`${readyLine(subprocesses, isJson)}\n`)
      presence.ready()
    },
    onStopping: () => presence.stopping(),
    onRefused: ({ text }) => process.stderr.write(text),
  })
  const presence = await Presence.open(processOptions, supervisor.health, logger)
  watchEnd(supervisor, logger)
  const code = await supervisor.run()
  presence.close()
  return code
}

const watchEnd = (supervisor: Supervisor, logger: Logger): void => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      logger.info({ signal }, 'Asked to stop')
      supervisor.stop()
    })
  }
  process.on('SIGQUIT', () => {
    logger.warn({ signal: 'SIGQUIT' }, 'Asked to stop at once')
    supervisor.kill()
  })
  watchLauncher(() => {
    logger.warn('Stopping because the npm or npx that started this worker is gone')
    supervisor.stop()
  })
}

/** Starts this program again, with its own arguments and the role of a subprocess. */
const forkSubprocess = (role: SubprocessRole): ChildProcess => {
  const [, entry = '', ...args] = process.argv
  const command = args.indexOf('start') + 1
  const roleArgument = `--subprocess=${JSON.stringify(role)}`
  return fork(entry, [...args.slice(0, command), roleArgument, ...args.slice(command)], {
    env: Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_SYSTEMD.includes(name))),
    // What the supervisor was given on standard input is for no job.
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

const readyLine = (subprocesses: readonly ReadySubprocess[], isJson: boolean): string => {
  const classes = [...new Set(subprocesses.flatMap(({ jobClasses }) => jobClasses))].sort()
  if (isJson) {
    const each = subprocesses.map(({ index, pid, processId, pools }) => ({ index, pid, process_id: processId, pools }))
    return JSON.stringify({ status: 'ready', pid: process.pid, subprocesses: each, job_classes: classes })
  }
  const each = subprocesses.map(
    ({ index, pid, processId, pools }) => `${index} (pid ${pid}, process ${processId}, pools ${poolsText(pools)})`,
  )
  const count = plural(subprocesses.length, 'subprocess')
  return `good-job ready: pid ${process.pid}, ${count}: ${each.join(', ')}; ${plural(classes.length, 'job class')}: ${classes.join(', ')}`
}
