import pg from 'pg'
import { ConfigurationError } from '../../errors.ts'

/** A partition answers nothing at all, and the kernel takes many minutes to tell; `?query_timeout=…` in the URL wins. */
export const SILENCE_MS = 60_000

/** A server that accepts a connection and says nothing is waited for no longer. */
export const CONNECT_MS = 10_000

/** `?schema=tenant_b`, as other libraries write it, is the search_path of each connection. */
const schemaOption = (databaseUrl: string): pg.ClientConfig => {
  const parameters = new URLSearchParams(databaseUrl.split('?')[1] ?? '')
  const schema = parameters.get('schema')
  if (schema === null) return {}
  if (parameters.has('options'))
    throw new Error('it has both "schema" and "options": name the search_path in "options"')
  const quoted = `"${schema.replaceAll('"', '""')}"`.replaceAll(/[\\\s]/g, '\\$&')
  return { options: `-c search_path=${quoted}` }
}

/** The configuration of connections to a URL. @throws ConfigurationError when it is none; the text does not repeat it */
export const urlConfig = (
  name: 'databaseUrl' | 'directDatabaseUrl',
  databaseUrl: string | undefined,
  { applicationName = 'good-job-node' }: { readonly applicationName?: string },
): pg.ClientConfig => {
  if (databaseUrl === undefined || databaseUrl.trim() === '') {
    throw new ConfigurationError(
      'no database: set DATABASE_URL or pass databaseUrl, e.g. postgres://user@localhost/app; "postgres://" alone uses PGHOST, PGDATABASE and the like',
    )
  }
  const config: pg.ClientConfig = {
    connectionString: databaseUrl,
    application_name: applicationName,
    keepAlive: true,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: SILENCE_MS,
  }
  try {
    // pg takes a word without a scheme for a database name and any scheme for its own.
    if (!/^(postgres|postgresql|socket):|^\//.test(databaseUrl.trim())) throw new Error('it starts with no postgres://')
    if (/^[^/]*\/\/([^/?#]*@)?[^/?#@]*,/.test(databaseUrl)) throw new Error('it names several hosts, and pg knows one')
    // pg parses the URL when it builds a client: do that now, so that a bad one is told at start.
    new pg.Client(config)
    return { ...config, ...schemaOption(databaseUrl) }
  } catch (error) {
    // The URL may hold a password, so it is not repeated.
    throw new ConfigurationError(
      `${name} is not a Postgres URL (${(error as Error).message}); characters such as # / ? @ in a password must be percent-encoded`,
      { cause: error },
    )
  }
}
