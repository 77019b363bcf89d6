import { randomBytes } from 'node:crypto'
import { Client, escapeIdentifier } from 'pg'

/**
 * The same connection URL with another database. Accepts every form that pg accepts: `postgres://`, a Unix socket in the host
 * (`postgres://%2Frun%2Fpostgresql/db`) or in a parameter (`postgres:///db?host=/run`), `socket:/run?db=name`, and `/run name`.
 */
export const withDatabase = (url: string, database: string): string => {
  if (url.startsWith('/')) return `${url.split(' ')[0]} ${database}`
  const parsed = new URL(url)
  if (parsed.protocol === 'socket:') parsed.searchParams.set('db', database)
  // The inverse of pg's decoding, which cannot represent /, ? or # in a name.
  else parsed.pathname = `/${encodeURI(database)}`
  return parsed.href
}

/** The name of the database in a connection URL. */
export const databaseName = (url: string): string => new Client({ connectionString: url }).database ?? ''

/** Creates a database with a unique name on the server of `url`, optionally from `template`. @returns the URL of the new database */
export const createDatabase = async (url: string, options: { prefix: string; template?: string }): Promise<string> => {
  const name = `${options.prefix}_${randomBytes(6).toString('hex')}`
  const template = options.template === undefined ? '' : ` TEMPLATE ${escapeIdentifier(options.template)}`
  await runOnServer(url, `CREATE DATABASE ${escapeIdentifier(name)}${template}`)
  return withDatabase(url, name)
}

/** Drops a database and ends every connection to it; a database that does not exist is not an error. */
export const dropDatabase = async (url: string, name: string): Promise<void> =>
  runOnServer(url, `DROP DATABASE IF EXISTS ${escapeIdentifier(name)} WITH (FORCE)`)

const runOnServer = async (url: string, statement: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
