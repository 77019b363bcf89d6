import type { ClientConfig } from 'pg'
import { ConfigurationError } from '../../errors.ts'
import { MAX_TIMER_MS } from '../../time.ts'
import { connectionParameters } from './pg-connection.ts'

/**
 * During a network partition no response arrives, and the kernel reports that after many minutes only. `?query_timeout=…` in the
 * URL wins.
 */
export const SILENCE_MS = 60_000

/** Limit for a server that accepts a connection and does not respond. */
export const CONNECT_MS = 10_000

/** What is wrong with a URL, and the way out. The URL may hold a password, so neither text repeats it. */
class UrlMistake extends Error {
  readonly wayOut: string

  constructor(what: string, wayOut: string) {
    super(what)
    this.wayOut = wayOut
  }
}

const ENCODE = 'characters such as # / ? @ in a password must be percent-encoded'

const parametersOf = (databaseUrl: string): URLSearchParams => new URLSearchParams(databaseUrl.split('?')[1] ?? '')

/** The search_path that `?schema=…` asks for, as Postgres shows it. */
export const searchPathIn = (databaseUrl: string): string | undefined => {
  const schema = parametersOf(databaseUrl).get('schema')
  return schema === null ? undefined : `"${schema.replaceAll('"', '""')}"`
}

/** `?schema=tenant_b`, as other libraries write it, sets the search_path of each connection. */
const schemaOption = (databaseUrl: string): ClientConfig => {
  const searchPath = searchPathIn(databaseUrl)
  if (searchPath === undefined) return {}
  if (parametersOf(databaseUrl).has('options'))
    throw new UrlMistake('it has both "schema" and "options"', 'name the search_path in "options"')
  return { options: `-c search_path=${searchPath.replaceAll(/[\\\s]/g, '\\$&')}` }
}

/** The configuration of connections to a URL. @throws ConfigurationError if the URL is invalid; the text does not repeat it */
export const urlConfig = (
  name: 'databaseUrl' | 'directDatabaseUrl',
  databaseUrl: string | undefined,
  { applicationName = 'good-job-node' }: { readonly applicationName?: string },
): ClientConfig => {
  if (databaseUrl === undefined || databaseUrl.trim() === '') {
    throw new ConfigurationError(
      'no database: set DATABASE_URL or pass databaseUrl, e.g. postgres://user@localhost/app; "postgres://" alone uses PGHOST, PGDATABASE and the like',
    )
  }
  const config: ClientConfig = {
    connectionString: databaseUrl,
    application_name: applicationName,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: SILENCE_MS,
  }
  try {
    assertOneHost(databaseUrl)
    // pg parses the URL when it builds a client, so a bad URL is rejected now, not at the first connection.
    const parameters = connectionParameters(config)
    return { ...config, ...schemaOption(databaseUrl), ...clampedTimeout(databaseUrl, parameters) }
  } catch (error) {
    const wayOut = error instanceof UrlMistake ? error.wayOut : ENCODE
    throw new ConfigurationError(`${name} is not a Postgres URL (${(error as Error).message}); ${wayOut}`, {
      cause: error,
    })
  }
}

/** pg takes a word without a scheme for a database name, accepts any scheme, and reads a list of hosts as one host. */
const assertOneHost = (databaseUrl: string): void => {
  if (!/^(postgres|postgresql|socket):|^\//.test(databaseUrl.trim()))
    throw new UrlMistake('it does not start with postgres://', 'write postgres://user@host/name')
  if (/^[^/]*\/\/([^/?#]*@)?[^/?#@]*,/.test(databaseUrl))
    throw new UrlMistake(
      'it names several hosts, and pg connects to one',
      'name one host, for example the proxy in front of them',
    )
}

/**
 * pg times a statement with a Node timer, which turns more than 24.8 days into 1 ms. The URL overrides the options, so the URL is
 * changed.
 */
const clampedTimeout = (databaseUrl: string, parameters: { readonly query_timeout?: unknown }): ClientConfig =>
  Number(parameters.query_timeout) > MAX_TIMER_MS
    ? { connectionString: databaseUrl.replace(/([?&]query_timeout=)[^&]*/, `$1${MAX_TIMER_MS}`) }
    : {}
