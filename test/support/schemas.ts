import type { Client } from 'pg'
import { expect } from 'vitest'
import { SchemaError } from '../../src/errors.ts'
import type { TestDatabase } from './postgres.ts'

/** Runs `work` on a connection whose search_path is `schema`, created if need be; all of it is undone at the end. */
export const inSchema = async (
  database: TestDatabase,
  schema: string,
  work: (client: Client) => Promise<void>,
): Promise<void> => {
  const client = await database.connect()
  await client.query('BEGIN')
  await client.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`)
  await client.query(`SET LOCAL search_path TO ${schema}`)
  try {
    await work(client)
  } finally {
    await client.query('ROLLBACK')
    await client.end()
  }
}

/** The text with which a schema function refuses. */
export const refusal = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(SchemaError)
  return (error as SchemaError).message
}
