import { CommanderError } from 'commander'
import { pc } from '../colors.ts'
import { ConfigurationError, GoodJobError, sqlState } from '../errors.ts'
import { UNKNOWN_HOST } from '../sql/connection/reach.ts'
import { clearProgress } from './progress.ts'

/** Exit codes: done, failed, wrong usage. */
export const EXIT = { done: 0, failed: 1, usage: 2 } as const

/** The command line asks for something impossible. */
export class UsageError extends GoodJobError {}

/** The command did its work and has already printed what went wrong. */
export class PartialFailure extends GoodJobError {}

/** Advice by SQLSTATE. */
const ADVICE: Readonly<Record<string, string>> = {
  '28P01': 'Check user and password in DATABASE_URL; characters such as # / ? @ in a password must be percent-encoded.',
  '28000': 'Check user and password in DATABASE_URL, and pg_hba.conf on the server.',
  '3D000': 'Create it (createdb), or check the name in DATABASE_URL.',
  '42501': 'Give the database user SELECT, INSERT, UPDATE and DELETE on the good_job tables.',
  '42P01': 'Run `good-job schema check` to see what the tables lack.',
  '42703': 'Run `good-job schema check` to see what the tables lack.',
  '08P01':
    'A pooler refuses this; its log shows why. PgBouncer accepts no ?schema= and no options in a URL: set the search_path of the user instead (ALTER ROLE … SET search_path).',
  '25006': 'The server is read-only (a standby?); DATABASE_URL must point to the primary.',
  '53300': 'Raise max_connections of the server, or lower --pool-size.',
}

const NETWORK_ADVICE = 'Start Postgres, or check host and port in DATABASE_URL.'

/** Advice by Node's error code for a connection that failed. */
const NODE_ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: NETWORK_ADVICE,
  ENOENT: NETWORK_ADVICE,
  ...UNKNOWN_HOST,
  ...Object.fromEntries(
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'].map((code) => [
      code,
      'Name the authority that signed it: sslrootcert=/path/to/ca.pem in DATABASE_URL; or skip the verification of the server: sslmode=no-verify.',
    ]),
  ),
}

/** What happened, in one line, with the advice if there is any. */
const explain = (error: unknown): string => {
  if (error instanceof AggregateError && error.message === '') {
    return `${error.errors.map((each) => (each as Error).message).join('; ')}. ${NETWORK_ADVICE}`
  }
  if (!(error instanceof Error)) return String(error)
  if (error instanceof GoodJobError) return error.message
  const state = sqlState(error)
  if (state !== undefined) return `Postgres says: ${error.message} (${state}). ${ADVICE[state] ?? ''}`.trim()
  const { code } = error as NodeJS.ErrnoException
  const advice = NODE_ADVICE[code ?? '']
  if (advice !== undefined) return `${error.message}. ${advice}`
  return error.message || error.name
}

/** What a command that failed prints, and its exit code. */
interface Failure {
  readonly text: string
  readonly code: number
}

interface ReportOptions {
  readonly isVerbose: boolean
}

/** Describes an error as `report` prints it. */
export const describeFailure = (error: unknown, { isVerbose }: ReportOptions): Failure => {
  const line = `${pc.red('error:')} ${explain(error)}\n`
  const stack = isVerbose && error instanceof Error ? `${pc.dim(stackOf(error))}\n` : ''
  return { text: line + stack, code: isUsage(error) ? EXIT.usage : EXIT.failed }
}

const isUsage = (error: unknown): boolean => error instanceof ConfigurationError || error instanceof UsageError

/** Prints an error on standard error. @returns the exit code */
export const report = (error: unknown, options: ReportOptions): number => {
  // Commander prints its own errors; help is not an error.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  if (error instanceof PartialFailure) return EXIT.failed
  const { text, code } = describeFailure(error, options)
  clearProgress()
  process.stderr.write(text)
  return code
}

const stackOf = (error: Error): string => {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
