import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { startContainer } from '../../src/demo/postgres-container.ts'

afterEach(() => vi.unstubAllEnvs())

test('the search for Docker gives up within a few seconds if the engine accepts connections and never answers', async () => {
  const sockets: Socket[] = []
  const engine = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(engine, 'listening')
  const started = performance.now()
  // testcontainers looks for its engine once per process and there.
  vi.stubEnv('DOCKER_HOST', `tcp://127.0.0.1:${(engine.address() as AddressInfo).port}`)
  expect(await startContainer(process.env)).toBeUndefined()
  expect(sockets.length).toBeGreaterThan(0)
  expect(performance.now() - started).toBeLessThan(10_000)
  for (const socket of sockets) socket.destroy()
  engine.close()
})
