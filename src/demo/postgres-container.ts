import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const IMAGE = 'postgres:18-alpine'

/** A server in a container; undefined without testcontainers, a Docker engine, or an image. */
export const startContainer = async (
  env: NodeJS.ProcessEnv,
): Promise<{ url: string; stop(): Promise<void> } | undefined> => {
  if (!mayHaveDocker(env)) return undefined
  try {
    // A development dependency: the demo of an installed package uses the embedded server instead.
    const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers')
    await withinTime(getContainerRuntimeClient())
    const container = await new GenericContainer(IMAGE)
      .withEnvironment({ POSTGRES_PASSWORD: 'postgres' })
      .withCommand(['postgres', '-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'max_connections=200'])
      .withExposedPorts(5432)
      // The image starts the server twice; the first time for its own setup.
      .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
      .start()
    const url = `postgres://postgres:postgres@${container.getHost()}:${container.getMappedPort(5432)}/postgres`
    return { url, stop: async () => void (await container.stop()) }
  } catch {
    return undefined
  }
}

/** An engine that accepts the connection but never responds must not delay the demo. */
const withinTime = async (engine: Promise<unknown>): Promise<void> => {
  const late = AbortSignal.timeout(ANSWER_TIME_MS)
  await Promise.race([engine, once(late, 'abort').then(() => late.throwIfAborted())])
}

const ANSWER_TIME_MS = 3_000

/** A cheap check first, because loading testcontainers takes half a second. */
const mayHaveDocker = (env: NodeJS.ProcessEnv): boolean =>
  Boolean(env.DOCKER_HOST) ||
  [
    '/var/run/docker.sock',
    join(env.XDG_RUNTIME_DIR ?? '/run', 'docker.sock'),
    join(homedir(), '.docker/run/docker.sock'),
  ].some(existsSync)
