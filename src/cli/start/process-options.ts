import { type Command, Option } from 'commander'
import { ConfigurationError } from '../../errors.ts'
import type { PresenceOptions } from '../../probe/presence.ts'
import { UsageError } from '../failure.ts'

export interface ProcessOptions extends PresenceOptions {
  /** Number of subprocesses; 0 or undefined: this process works itself. */
  readonly subprocesses: number | undefined
  /** Module with functions that run before a fork and in a subprocess; undefined: none. */
  readonly hooks: string | undefined
}

type OptionName = keyof ProcessOptions

interface ProcessOption {
  readonly flag: string
  readonly value: string
  readonly env: string
  readonly text: string
  readonly parse: (value: string, name: string) => unknown
}

const MAX_PORT = 65_535
/** More processes are a mistake: each of them holds connections. */
const MAX_SUBPROCESSES = 1_000

const parseUpTo =
  (max: number, expected: string) =>
  (value: string, name: string): number => {
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
    if (number <= max) return number
    throw new ConfigurationError(`${name}: expected ${expected}, got ${JSON.stringify(value)}`)
  }

const parsePath = (value: string, name: string): string => {
  if (value.trim() !== '' && !value.includes('\0')) return value
  throw new ConfigurationError(`${name}: expected the path of a file, got ${JSON.stringify(value)}`)
}

/** The options of a worker process that a `Capsule` inside another program does not have. */
const PROCESS_OPTIONS: { readonly [K in OptionName]: ProcessOption } = {
  probePort: {
    flag: '--probe-port',
    value: 'port',
    env: 'GOOD_JOB_PROBE_PORT',
    text: 'answer HTTP health probes on this port',
    parse: parseUpTo(MAX_PORT, `a port from 1 to ${MAX_PORT}, or 0 for any free one`),
  },
  pidfile: {
    flag: '--pidfile',
    value: 'path',
    env: 'GOOD_JOB_PIDFILE',
    text: 'write the process id to this file while the worker runs',
    parse: parsePath,
  },
  subprocesses: {
    flag: '--subprocesses',
    value: 'count',
    env: 'GOOD_JOB_SUBPROCESSES',
    text: 'run this number of processes; 0, the default: one without a supervisor',
    parse: parseUpTo(MAX_SUBPROCESSES, `a whole number from 0 to ${MAX_SUBPROCESSES}`),
  },
  hooks: {
    flag: '--hooks',
    value: 'module',
    env: 'GOOD_JOB_HOOKS',
    text: 'functions to call before a process is forked, and before it works',
    parse: parsePath,
  },
}

const NAMES = Object.keys(PROCESS_OPTIONS) as OptionName[]

const DAEMONIZE =
  '--daemonize is not supported. Run the worker in the foreground and let systemd, a container or another supervisor start it in ' +
  'the background: docs/deployment.md'

/** The description of each of these options, for the page about options. */
export const describeProcessOptions = () =>
  NAMES.map((name) => {
    const { flag, value, text, env } = PROCESS_OPTIONS[name]
    return { flag: `${flag} <${value}>`, text, environment: env }
  })

export const addProcessOptions = (command: Command): void => {
  for (const { flag, value, text, env, parse } of Object.values(PROCESS_OPTIONS)) {
    command.addOption(
      new Option(`${flag} <${value}>`, `${text} (env: ${env})`)
        .argParser((input: string) => parse(input, flag))
        .helpGroup('Supervision:'),
    )
  }
  const refuse = () => {
    throw new UsageError(DAEMONIZE)
  }
  command.addOption(new Option('--daemonize [value]').preset('').argParser(refuse).hideHelp())
}

/** The values of these options: from the command line, else from the environment. @throws ConfigurationError */
export const processOptionsOf = (
  command: Command,
  env: Readonly<Record<string, string | undefined>> = process.env,
): ProcessOptions =>
  Object.fromEntries(
    NAMES.map((name) => {
      const { env: variable, parse } = PROCESS_OPTIONS[name]
      const text = env[variable]?.trim() || undefined
      return [name, command.getOptionValue(name) ?? (text === undefined ? undefined : parse(text, variable))]
    }),
  ) as unknown as ProcessOptions
