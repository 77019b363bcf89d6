import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { findPostgres } from '../../src/demo/postgres.ts'
import { createDatabase, databaseName, dropDatabase } from '../../src/demo/postgres-databases.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** The server of this run. */
    postgresUrl: string
    /** A database with schema.sql in it, to clone. */
    goodJobTemplate: string
  }
}

/** vitest's globalSetup: one server for the whole run and a template database on it. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const server = await findPostgres()
  const templateUrl = await createDatabase(server.url, { prefix: 'good_job_template' })
  const template = databaseName(templateUrl)
  await install(templateUrl)
  project.provide('postgresUrl', server.url)
  project.provide('goodJobTemplate', template)
  return async () => {
    if (server.kind === 'given') await dropDatabase(server.url, template)
    await server.stop()
  }
}

const install = async (url: string): Promise<void> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query(await readFile(new URL('../../schema.sql', import.meta.url), 'utf8'))
  await client.end()
}
