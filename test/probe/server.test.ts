import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { probeHandler } from '../../src/probe/handler.ts'
import type { Health } from '../../src/probe/health.ts'
import { ProbePortError, ProbeServer } from '../../src/probe/server.ts'

const health = (started: boolean, connected: boolean, ready: boolean, reason?: string): Health => ({
  started: () => started,
  connected: () => connected,
  ready: () => ready,
  whyNotReady: () => reason,
})
const FINE = health(true, true, true)

/** A server of this health on a free port, until the end of the test. */
const serve = async (given: Health) => {
  const server = new ProbeServer(probeHandler(given))
  return { server, port: await server.listen(0), [Symbol.dispose]: () => server.close() }
}

/** Sends bytes. Resolves with everything that arrives until the server closes the connection. */
const exchange = async (port: number, bytes: string, host = '127.0.0.1'): Promise<string> => {
  const socket = connect(port, host)
  socket.on('error', () => undefined)
  socket.write(bytes)
  return text(socket).catch((error: Error) => error.message)
}

const fetchText = async (port: number, path: string, init?: RequestInit) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
  return [response.status, await response.text()]
}

test.each([
  ['/', 200, 'OK', FINE],
  ['/status', 200, 'OK', FINE],
  ['/status', 200, 'OK', health(false, false, false)],
  ['/status/started', 200, 'Started', FINE],
  ['/status/started', 503, 'Not started', health(false, false, false)],
  ['/status/connected', 200, 'Connected', FINE],
  ['/status/connected', 503, 'Not connected', health(true, false, true)],
  ['/status/ready', 200, 'Ready', FINE],
  ['/status/ready', 503, 'Not ready', health(true, true, false)],
  ['/status/ready', 503, 'Not ready: outcomes wait', health(true, true, false, 'outcomes wait')],
  ['/status/started?x=1', 200, 'Started', FINE],
  ['/status/started?x=/status', 503, 'Not started', health(false, true, true)],
  ['/status/started/', 404, 'Not found', FINE],
  ['/status/', 404, 'Not found', FINE],
  ['/Status', 404, 'Not found', FINE],
  ['//', 404, 'Not found', FINE],
  ['/toString', 404, 'Not found', FINE],
  ['/__proto__', 404, 'Not found', FINE],
])('%s is %i %s [GJ-086]', async (path, status, body, given) => {
  using probe = await serve(given)
  expect(await fetchText(probe.port, path)).toEqual([status, body])
})

test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'])('%s is answered like GET', async (method) => {
  using probe = await serve(FINE)
  expect(await fetchText(probe.port, '/status/started', { method })).toEqual([200, 'Started'])
})

test('an answer is ordinary HTTP: it has a length, and the connection is closed after it', async () => {
  using probe = await serve(FINE)
  const answer = await exchange(probe.port, 'GET /status/started HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(answer).toMatch(/\r\ncontent-length: 7\r\n/i)
  expect(answer).toMatch(/\r\nconnection: close\r\n/i)
  expect(answer).toMatch(/\r\n\r\nStarted$/)
})

test('HEAD has the length and no body', async () => {
  using probe = await serve(FINE)
  const answer = await exchange(probe.port, 'HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n')
  expect(answer).toMatch(/content-length: 2\r\n/i)
  expect(answer).toMatch(/\r\n\r\n$/)
})

test.each([
  ['without a Host', 'GET /status HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nOK$/],
  ['of HTTP/1.0', 'GET /status HTTP/1.0\r\n\r\n', /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nOK$/],
  ['with a body that never ends', 'POST /status HTTP/1.1\r\nContent-Length: 1000\r\n\r\nx', /^HTTP\/1\.1 200 /],
  ['that is not HTTP', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n\r\n', /^HTTP\/1\.1 400 /],
  ['with too many headers', `GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`, /^HTTP\/1\.1 431 |ECONNRESET/],
])('a request %s is answered, and the next one too', async (_, bytes, expected) => {
  using probe = await serve(FINE)
  expect(await exchange(probe.port, bytes)).toMatch(expected)
  expect(await fetchText(probe.port, '/status')).toEqual([200, 'OK'])
})

test('clients that send nothing, or half a request, block nobody and are disconnected after five seconds', async () => {
  using probe = await serve(FINE)
  const begun = performance.now()
  const silent = ['', 'GET /stat', 'GET /status HTTP/1.1\r\nHost: lo'].map((bytes) => exchange(probe.port, bytes))
  expect(await fetchText(probe.port, '/status/started')).toEqual([200, 'Started'])
  expect(performance.now() - begun).toBeLessThan(3_000)
  await Promise.all(silent)
  expect(performance.now() - begun).toBeGreaterThan(4_000)
})

test('close ends the connections of silent clients at once', async () => {
  using probe = await serve(FINE)
  const silent = connect(probe.port, '127.0.0.1')
  silent.on('error', () => undefined)
  await once(silent, 'connect')
  // The server knows of the connection when it has answered a later one.
  await fetchText(probe.port, '/status')
  const closed = once(silent, 'close')
  const begun = performance.now()
  probe.server.close()
  await closed
  expect(performance.now() - begun).toBeLessThan(1_000)
})

test.each(['0.0.0.0', '127.0.0.1', '::'])('a port on which somebody listens (%s) is refused by name', async (host) => {
  const owner = createTcpServer().listen(0, host)
  await once(owner, 'listening')
  const { port } = owner.address() as AddressInfo
  const server = new ProbeServer(probeHandler(FINE))
  try {
    const refusal = await server.listen(port).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(ProbePortError)
    expect((refusal as Error).message).toBe(
      `the probe port ${port} cannot be used: another process listens on it; choose another --probe-port, or end that process`,
    )
  } finally {
    server.close()
    owner.close()
  }
})

test('the handler serves a server of the program itself', async () => {
  const server = createServer(probeHandler(FINE)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    expect(await fetchText((server.address() as AddressInfo).port, '/status/ready')).toEqual([200, 'Ready'])
  } finally {
    server.close()
  }
})
