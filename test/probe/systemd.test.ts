import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Systemd } from '../../src/probe/systemd.ts'
import { inTurn } from '../support/clean-up.ts'
import { NotifySocket } from '../support/notify-socket.ts'

const folder = mkdtempSync(join(tmpdir(), 'good-job-systemd-'))
const [path, abstract] = [join(folder, 'notify'), `@good-job-test-${process.pid}`]
const sockets = { path: await NotifySocket.bind(path), abstract: await NotifySocket.bind(abstract) }
afterAll(
  inTurn(
    () => sockets.path[Symbol.asyncDispose](),
    () => sockets.abstract[Symbol.asyncDispose](),
    () => rmSync(folder, { recursive: true }),
  ),
)

/** What a socket has received since the last call, when this last message has arrived. */
const received = async (socket: NotifySocket, last: string): Promise<string[]> => {
  await socket.receives(({ text }) => text === last)
  return socket.received.splice(0).map(({ text }) => text)
}

const connect = async (env: Readonly<Record<string, string>>) => {
  const warnings: string[] = []
  const systemd = await Systemd.connect({ env, warn: (error, text) => warnings.push(`${text}: ${error}`) })
  return { systemd, warnings }
}

test.each(['path', 'abstract'] as const)(
  'each state is one datagram to a socket with a name that is %s',
  async (kind) => {
    const { systemd, warnings } = await connect({ NOTIFY_SOCKET: { path, abstract }[kind] })
    systemd.ready()
    systemd.stopping()
    systemd.close()
    expect(await received(sockets[kind], 'STOPPING=1')).toEqual(['READY=1', 'STOPPING=1'])
    expect(warnings).toEqual([])
  },
)

test('the watchdog is notified twice an interval, also after the shutdown has begun, until the end', async () => {
  const { systemd } = await connect({ NOTIFY_SOCKET: path, WATCHDOG_USEC: '100000', WATCHDOG_PID: String(process.pid) })
  const begun = performance.now()
  systemd.ready()
  await sockets.path.receives(({ text }) => text === 'WATCHDOG=1')
  expect(performance.now() - begun).toBeGreaterThan(45)
  systemd.stopping()
  const stopping = await sockets.path.receives(({ text }) => text === 'STOPPING=1')
  await sockets.path.receives(({ text, atMs }) => text === 'WATCHDOG=1' && atMs > stopping.atMs)
  systemd.close()
  const texts = sockets.path.received.splice(0).map(({ text }) => text)
  expect(texts.filter((text) => text !== 'WATCHDOG=1')).toEqual(['READY=1', 'STOPPING=1'])
})

test.each([
  ['another process', { WATCHDOG_USEC: '1000', WATCHDOG_PID: '1' }],
  ['no number', { WATCHDOG_USEC: 'soon' }],
  ['a fraction', { WATCHDOG_USEC: '1000.5' }],
  ['a negative number', { WATCHDOG_USEC: '-1000' }],
  ['zero', { WATCHDOG_USEC: '0' }],
  ['nothing', {}],
])('there is no watchdog if its variables name %s', async (_, env) => {
  const { systemd, warnings } = await connect({ NOTIFY_SOCKET: path, ...env })
  systemd.ready()
  // Several intervals of the watchdog that must not run.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve, 2))
  systemd.stopping()
  systemd.close()
  expect(await received(sockets.path, 'STOPPING=1')).toEqual(['READY=1', 'STOPPING=1'])
  expect(warnings).toEqual([])
})

test.each([
  ['does not exist', join(folder, 'nobody'), 'sendto failed, ENOENT, no such file or directory'],
  ['has no receiver', '@good-job-nobody', 'sendto failed, ECONNREFUSED, connection refused'],
  ['is relative', 'notify', 'expected a path that begins with / or an abstract name that begins with @'],
  ['is too long', `/${'x'.repeat(107)}`, 'a socket has a name of at most 108 bytes'],
])('a socket that %s is one warning', async (_, address, reason) => {
  const { systemd, warnings } = await connect({ NOTIFY_SOCKET: address, WATCHDOG_USEC: '1000000' })
  systemd.ready()
  systemd.stopping()
  systemd.close()
  expect(warnings).toEqual([`systemd is not notified; the worker continues: NotifySocketError: ${address}: ${reason}`])
})

test.each([{}, { NOTIFY_SOCKET: '' }])('without NOTIFY_SOCKET nothing happens: %o', async (env) => {
  const { systemd, warnings } = await connect({ ...env, WATCHDOG_USEC: '1000' })
  systemd.ready()
  systemd.stopping()
  systemd.close()
  expect(warnings).toEqual([])
})
