import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const IMAGE = 'postgres:18-alpine'

/** A server in a container, or undefined where there is no testcontainers, no Docker engine, or no image to be had. */
export const startContainer = async (
  env: NodeJS.ProcessEnv,
): Promise<{ url: string; stop(): Promise<void> } | undefined> => {
  if (!mayHaveDocker(env)) return undefined
  try {
    // A development dependency: whoever runs the demo of an installed package gets the embedded server.
    const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers')
    await withinTime(getContainerRuntimeClient())
    const container = await new GenericContainer(IMAGE)
      .withEnvironment({ POSTGRES_PASSWORD: 'postgres' })
      .withCommand(['postgres', '-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'max_connections=200'])
      .withExposedPorts(5432)
      // The image starts the server twice: the first time for its own preparations.
      .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
      .start()
    const url = `postgres://postgres:postgres@${container.getHost()}:${container.getMappedPort(5432)}/postgres`
    return { url, stop: async () => void (await container.stop()) }
  } catch {
    return undefined
  }
}

/** An engine that accepts the connection and never answers must not hold up anybody. */
const withinTime = async (engine: Promise<unknown>): Promise<void> => {
  const late = AbortSignal.timeout(ANSWER_TIME_MS)
  await Promise.race([engine, once(late, 'abort').then(() => late.throwIfAborted())])
}

const ANSWER_TIME_MS = 3_000

/** Cheap, as loading testcontainers takes half a second. */
const mayHaveDocker = (env: NodeJS.ProcessEnv): boolean =>
  Boolean(env.DOCKER_HOST) ||
  [
    '/var/run/docker.sock',
    join(env.XDG_RUNTIME_DIR ?? '/run', 'docker.sock'),
    join(homedir(), '.docker/run/docker.sock'),
  ].some(existsSync)
