import { type Command, Option } from 'commander'
import { OPTION_RULES, type Options } from '../../configuration.ts'

type OptionName = keyof Required<Options>

interface OptionHelp {
  readonly group: string
  /** What the value is, or its unit; undefined for a switch. */
  readonly value?: string
  readonly text: string
  /** The meaning of the default, if the bare value does not show it. */
  readonly defaultText?: string
}

const WORK = 'What to work on:'
const DATABASE = 'Database:'
const STOP = 'Ending:'
const HISTORY = 'Finished jobs:'
const BATCHES = 'Batches:'
const CRON = 'Cron:'
const RAILS = 'Rails beside:'

/** One line of help for each option; environment names and defaults come from the configuration. */
const WORKER_OPTIONS: { readonly [K in OptionName]: OptionHelp } = {
  queues: {
    group: WORK,
    value: 'string',
    text: 'queues and pools, e.g. "+urgent,low:2;-mice:4;*"',
    defaultText: 'all',
  },
  threads: {
    group: WORK,
    value: 'count',
    text: 'concurrent jobs of a pool without a number of its own',
    defaultText: '5',
  },
  maxThreads: { group: WORK, value: 'count', text: 'the older name of --threads' },
  pollInterval: { group: WORK, value: 'seconds', text: 'seconds between polls; 0 or less: notifications only' },
  enableListenNotify: { group: WORK, text: 'send NOTIFY, and wake up on it', defaultText: 'on' },
  enablePauses: { group: WORK, text: 'do not start paused jobs', defaultText: 'off' },
  queueSelectLimit: { group: WORK, value: 'count', text: 'maximum number of rows that one claim reads' },
  dequeueQuerySort: { group: WORK, value: 'column', text: 'order within a priority: created_at or scheduled_at' },
  retryOnUnhandledError: {
    group: WORK,
    text: 'run a job again at once after an unhandled error',
    defaultText: 'off',
  },
  databaseUrl: { group: DATABASE, value: 'url', text: 'postgres://user@host/name, or socket:/dir?db=name' },
  directDatabaseUrl: {
    group: DATABASE,
    value: 'url',
    text: 'direct URL, if the database URL leads through a pooler',
    defaultText: 'the same',
  },
  connectTimeout: { group: DATABASE, value: 'seconds', text: 'seconds to wait for Postgres at the start' },
  poolSize: { group: DATABASE, value: 'count', text: 'connections for enqueueing and administration' },
  deferStart: {
    group: WORK,
    value: 'ms',
    text: 'write start and end of a short job together; maximum delay of a start',
    defaultText: '0, off',
  },
  concurrency: {
    group: WORK,
    value: 'json',
    text: 'limits for labels or keys whatever the class, e.g. [{"label":"api","performLimit":5}]',
    defaultText: 'none',
  },
  cron: {
    group: CRON,
    value: 'json',
    text: 'entries besides those of the modules, e.g. {"report":{"cron":"0 6 * * *","class":"ReportJob"}}',
    defaultText: 'none',
  },
  enableCron: { group: CRON, text: 'enqueue the jobs of cron entries in this process', defaultText: 'off' },
  cronZone: {
    group: CRON,
    value: 'zone',
    text: 'zone of schedules that name none: config.time_zone of Rails',
    defaultText: 'TZ, otherwise UTC',
  },
  cronGracefulRestartPeriod: {
    group: CRON,
    value: 'seconds',
    text: 'seconds before the start for which missed occurrences are enqueued',
    defaultText: '0, none',
  },
  lanes: { group: DATABASE, value: 'count', text: 'connections that claim jobs and hold their locks' },
  shutdownTimeout: {
    group: STOP,
    value: 'seconds',
    text: 'seconds to wait for running jobs; -1: no limit, 0: abort at once',
  },
  idleTimeout: {
    group: STOP,
    value: 'seconds',
    text: 'exit after this time without work',
    defaultText: 'never',
  },
  preserveJobRecords: { group: HISTORY, value: 'when', text: 'keep finished jobs: true, false or on_unhandled_error' },
  cleanupPreservedJobsBeforeSecondsAgo: {
    group: HISTORY,
    value: 'seconds',
    text: 'age at which finished records are deleted',
    defaultText: '1209600, 14 days',
  },
  cleanupDiscardedJobs: { group: HISTORY, text: 'also delete discarded jobs and batches', defaultText: 'on' },
  cleanupIntervalJobs: { group: HISTORY, value: 'count', text: 'jobs between cleanups; -1: after each job, 0: never' },
  cleanupIntervalSeconds: {
    group: HISTORY,
    value: 'seconds',
    text: 'seconds between cleanups; -1: after each job, 0: never',
  },
  batchSweepInterval: { group: BATCHES, value: 'seconds', text: 'seconds between batch sweeps; 0: off' },
  batchSweepWindow: {
    group: BATCHES,
    value: 'seconds',
    text: 'maximum age of the batches that a sweep checks',
    defaultText: '2592000, 30 days',
  },
  batchSweepGrace: {
    group: BATCHES,
    value: 'seconds',
    text: 'seconds without a change before a sweep completes a batch',
  },
  refireFinish: { group: BATCHES, text: 'fire on_finish again when a batch recovers', defaultText: 'off' },
  railsVersion: { group: RAILS, value: 'version', text: 'version of that Rails: 6.1, 7.0, 7.1, 7.2, 8.0, 8.1 or main' },
  globalidApp: { group: RAILS, value: 'name', text: 'app name in the GlobalIDs of batch callbacks' },
}

const NAMES = Object.keys(WORKER_OPTIONS) as OptionName[]

/** The flag of an option: `pollInterval` becomes `--poll-interval`. */
const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

const defaultOf = (name: OptionName): string => {
  const { fallback } = OPTION_RULES[name]
  return WORKER_OPTIONS[name].defaultText ?? (fallback === undefined ? '' : String(fallback))
}

/** The description of an option, for the help and the README. */
const describeOption = (name: OptionName) => {
  const { group, value, text } = WORKER_OPTIONS[name]
  const flag = value === undefined ? flagOf(name).replace('--', '--[no-]') : `${flagOf(name)} <${value}>`
  return { name, group, flag, text, default: defaultOf(name), environment: OPTION_RULES[name].env }
}

export const describeOptions = () => NAMES.map(describeOption)

/** Adds these options to a command; the configuration validates their values. */
export const addWorkerOptions = (command: Command, names: readonly OptionName[] = NAMES): Command => {
  for (const name of names) {
    const { group, text, default: byDefault, environment } = describeOption(name)
    const notes = [byDefault && `default: ${byDefault}`, `env: ${environment.join(', ')}`].filter(Boolean).join('; ')
    const { value } = WORKER_OPTIONS[name]
    const parse = (input: string) => OPTION_RULES[name].parse(input, flagOf(name))
    const flag = flagOf(name)
    const description = `${text} (${notes})`
    if (value !== undefined) {
      command.addOption(new Option(`${flag} <${value}>`, description).argParser(parse).helpGroup(group))
      continue
    }
    command.addOption(new Option(flag, `${description}; --no-${flag.slice(2)}: not`).helpGroup(group))
    command.addOption(new Option(`--no-${flag.slice(2)}`).hideHelp().helpGroup(group))
  }
  return command
}

/** The given options that belong to the configuration; a switch that was not given is left out. */
export const workerOptionsOf = (command: Command): Options => {
  const given = NAMES.filter((name) => {
    const source = command.getOptionValueSource(name)
    return source !== undefined && source !== 'default'
  })
  return Object.fromEntries(given.map((name) => [name, command.getOptionValue(name)])) as Options
}
