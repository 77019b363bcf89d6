import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Job } from '../../src/index.ts'
import { silentServer } from '../support/bad-servers.ts'
import { inTurn } from '../support/clean-up.ts'
import { Cli } from '../support/cli.ts'
import { openWorld } from '../support/harness.ts'
import { NotifySocket } from '../support/notify-socket.ts'

const MODULE = join(import.meta.dirname, '../fixtures/jobs/timed-jobs.mjs')
const folder = mkdtempSync(join(tmpdir(), 'good-job-probe-'))

const { sql, url, close } = await openWorld()
afterAll(inTurn(close, () => rmSync(folder, { recursive: true })))

const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Cli =>
  new Cli(['start', MODULE, ...args], { env: { DATABASE_URL: url, ...env } })

/** Enqueues for the class of the same name in the fixture. */
const enqueue = async (jobClass: string, ...args: unknown[]): Promise<void> => {
  class Stub extends Job {
    static override jobClass = jobClass
    perform(..._args: unknown[]): void {}
  }
  await Stub.performLater(...args)
}

/** The port that a worker with `--probe-port 0` logs. */
const portOf = async (worker: Cli): Promise<number> => Number((await worker.says(/"port":(\d+).*Answering probes/))[1])

const get = async (port: number, path: string, init?: RequestInit) => {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
  return `${response.status} ${await response.text()}`
}

const newPath = (name: string) => join(folder, name)

test('a worker answers probes, notifies systemd and has a pid file from its start to its exit', async () => {
  const [pidfile, notify] = [newPath('worker.pid'), newPath('notify')]
  await using socket = await NotifySocket.bind(notify)
  const env = { NOTIFY_SOCKET: notify, WATCHDOG_USEC: '100000' }
  await using worker = start(['--probe-port', '0', '--pidfile', pidfile], env)
  const port = await portOf(worker)
  await worker.says(/ready/)
  expect(readFileSync(pidfile, 'utf8')).toBe(`${worker.pid}\n`)
  await socket.receives(({ text }) => text === 'WATCHDOG=1')
  expect(socket.texts.slice(0, 2)).toEqual(['READY=1', 'WATCHDOG=1'])
  await enqueue('HangJob')
  await worker.says(/started/)
  expect(await get(port, '/status/started')).toBe('200 Started')
  expect(await get(port, '/status/connected')).toBe('200 Connected')
  expect(await get(port, '/status/ready')).toBe('200 Ready')

  worker.signal('SIGTERM')
  const stopping = await socket.receives(({ text }) => text === 'STOPPING=1')
  await socket.receives(({ text, atMs }) => text === 'WATCHDOG=1' && atMs > stopping.atMs)
  expect(await get(port, '/')).toBe('200 OK')
  expect(await get(port, '/status/started')).toBe('503 Not started')
  expect(await get(port, '/status/connected')).toBe('503 Not connected')
  expect(await get(port, '/status/ready')).toBe('503 Not ready: the worker is shutting down')

  const silent = connect(port, '127.0.0.1')
  silent.on('error', () => undefined)
  await once(silent, 'connect')
  const begun = performance.now()
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
  // A client is disconnected after five seconds.
  expect(performance.now() - begun).toBeLessThan(4_500)
  expect(existsSync(pidfile)).toBe(false)
  expect(socket.texts.filter((text) => text !== 'WATCHDOG=1')).toEqual(['READY=1', 'STOPPING=1'])
  await sql('DELETE FROM good_jobs')
})

test('a worker answers before it has reached Postgres: it is alive, but not started', async () => {
  await using server = await silentServer()
  await using worker = start([], { DATABASE_URL: server.url, GOOD_JOB_PROBE_PORT: '0' })
  const port = await portOf(worker)
  expect(await get(port, '/status')).toBe('200 OK')
  expect(await get(port, '/status/started')).toBe('503 Not started')
  expect(await get(port, '/status/ready')).toBe('503 Not ready: the worker is starting')
  worker.signal('SIGTERM')
  expect((await worker.ended()).code).toBe(0)
})

test('while a job blocks the event loop, probes are not answered and the watchdog is not notified', async () => {
  await using socket = await NotifySocket.bind(`@good-job-start-${process.pid}`)
  await using worker = start(['--probe-port', '0'], { NOTIFY_SOCKET: socket.address, WATCHDOG_USEC: '100000' })
  const port = await portOf(worker)
  await socket.receives(({ text }) => text === 'WATCHDOG=1')
  await enqueue('BlockJob', 1_500)
  await worker.says(/started/)
  await expect(get(port, '/status', { signal: AbortSignal.timeout(500) })).rejects.toThrow(/timeout/)
  await worker.says(/ended/)
  expect(await get(port, '/status/ready')).toBe('200 Ready')
  const resumed = performance.now()
  await socket.receives(({ text, atMs }) => text === 'WATCHDOG=1' && atMs > resumed)
  const times = socket.received.filter(({ text }) => text === 'WATCHDOG=1').map(({ atMs }) => atMs)
  const gaps = times.slice(1).map((atMs, index) => atMs - (times[index] ?? 0))
  expect(Math.max(...gaps)).toBeGreaterThan(1_400)
})

test('a port of another process refuses the start with 1, before anything is claimed or left behind', async () => {
  const owner = createServer().listen(0)
  await once(owner, 'listening')
  const { port } = owner.address() as AddressInfo
  const pidfile = newPath('refused.pid')
  const { code, stdout, stderr } = await start(['--probe-port', String(port), '--pidfile', pidfile]).ended()
  owner.close()
  expect(stderr).toMatch(new RegExp(`error: the probe port ${port} cannot be used: another process listens on it`))
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(existsSync(pidfile)).toBe(false)
})

/** Node without the package koffi, as after `npm ci --omit=optional`. */
const withoutKoffi = (): string => {
  const moduleOf = (text: string) => `data:text/javascript;base64,${Buffer.from(text).toString('base64')}`
  const hook = `export async function resolve(name, context, next) {
    if (name === 'koffi') throw Object.assign(new Error("Cannot find package 'koffi'"), { code: 'ERR_MODULE_NOT_FOUND' })
    return next(name, context)
  }`
  return `--import=${moduleOf(`import { register } from 'node:module'; register('${moduleOf(hook)}')`)}`
}

test('a killed worker leaves its pid file to the next start; without koffi the worker works and says what to install', async () => {
  const pidfile = newPath('killed.pid')
  {
    await using worker = start(['--pidfile', pidfile], {
      NOTIFY_SOCKET: newPath('unused'),
      NODE_OPTIONS: withoutKoffi(),
    })
    await worker.says(/systemd is not notified; the worker continues/)
    await worker.says(/does not load \(Cannot find package 'koffi'\); install it: npm install koffi/)
    await worker.says(/ready/)
    const second = await start([], { GOOD_JOB_PIDFILE: pidfile }).ended()
    expect(second.code).toBe(1)
    expect(second.stderr).toContain(`--pidfile ${pidfile}: process ${worker.pid} has this file and is running`)
    worker.signal('SIGKILL')
    await worker.ended()
    expect(readFileSync(pidfile, 'utf8')).toBe(`${worker.pid}\n`)
  }
  await using next = start(['--pidfile', pidfile], { NOTIFY_SOCKET: newPath('nobody') })
  await next.says(/sendto failed, ENOENT/)
  await next.says(/ready/)
  expect(readFileSync(pidfile, 'utf8')).toBe(`${next.pid}\n`)
})

test('a value that cannot work is refused with 2', async () => {
  const { code, stdout, stderr } = await start([], { GOOD_JOB_PROBE_PORT: '70000' }).ended()
  expect(stderr).toMatch(
    /error: GOOD_JOB_PROBE_PORT: expected a port from 1 to 65535, or 0 for any free one, got "70000"/,
  )
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
})
