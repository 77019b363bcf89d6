import { type Command, InvalidArgumentError, Option } from 'commander'
import type { AdapterConfig } from '../enqueue/adapter.ts'
import { Adapter } from '../maintenance/adapter.ts'
import { columnText } from '../time.ts'
import { isUuid } from '../uuid.ts'
import { Progress } from './progress.ts'
import { addWorkerOptions, workerOptionsOf } from './start/worker-options.ts'

/** The context of a command. */
export interface CommandSession {
  readonly adapter: Adapter
  readonly isJson: boolean
  readonly now: Date
  /** `now` in the form that statements take. */
  readonly timestamp: string
  /** Appears by itself when the work takes long; set its text to what is being done. */
  readonly progress: Progress
}

/** Adds the options of every command that reads the database. */
export const addSessionOptions = (command: Command): Command =>
  addWorkerOptions(command, ['databaseUrl']).addOption(
    new Option('--json', 'print JSON for machines').helpGroup('Output:'),
  )

/** Runs `work` with a connection made from the options, `more` and the environment, then closes it. */
export const withSession = async (
  command: Command,
  work: (session: CommandSession) => Promise<void>,
  more: AdapterConfig = {},
): Promise<void> => {
  const adapter = new Adapter({ poolSize: 2, ...workerOptionsOf(command), ...more })
  const now = adapter.clock.now()
  const progress = new Progress()
  const isJson = command.getOptionValue('json') === true
  try {
    await adapter.database.assertSearchPath()
    await work({ adapter, isJson, now, timestamp: columnText(now), progress })
  } finally {
    progress.end()
    await adapter.close()
  }
}

/** Parses an id for commander. */
export const parseId = (text: string): string => {
  if (isUuid(text)) return text.toLowerCase()
  throw new InvalidArgumentError(`An id looks like 01234567-89ab-cdef-0123-456789abcdef.`)
}

/** Parses several ids for commander. */
export const parseIds = (text: string, before: readonly string[] | undefined): string[] => [
  ...(before ?? []),
  parseId(text),
]

/** Parses a number of rows for commander. */
export const parseLimit = (text: string): number => {
  const limit = Number(text)
  if (Number.isInteger(limit) && limit > 0 && limit <= 10_000) return limit
  throw new InvalidArgumentError('Expected a whole number from 1 to 10000.')
}

/** The end of a page as one word, for `--after`. */
export const cursorText = ({ at, id }: { readonly at: string; readonly id: string }): string => `${at},${id}`

/** Parses `--after` for commander. */
export const parseCursor = (text: string): { at: string; id: string } => {
  const [at = '', id = ''] = text.split(',')
  if (!Number.isNaN(Date.parse(at)) && isUuid(id)) return { at, id }
  throw new InvalidArgumentError('Expected the value that an earlier page printed after --after.')
}
