import { expect, test } from 'vitest'
import { Events } from '../src/events.ts'

const processId = '00000000-0000-0000-0000-000000000001'

test('a listener gets the payload until it is removed', () => {
  const events = new Events()
  const heard: unknown[] = []
  const listener = (payload: unknown) => heard.push(payload)
  events.on('notifier_listen', listener).emit('notifier_listen', { processId })
  events.off('notifier_listen', listener).emit('notifier_listen', { processId })
  expect(heard).toEqual([{ processId }])
})

test('a listener that throws leads to a warning and affects neither the emitter nor other listeners', async () => {
  const events = new Events()
  const warning = new Promise<Error>((resolve) => process.once('warning', resolve))
  let isHeard = false
  events.on('notifier_listen', () => {
    throw new Error('bad listener')
  })
  events.on('notifier_listen', () => {
    isHeard = true
  })
  events.emit('notifier_listen', { processId })
  expect(isHeard).toBe(true)
  expect((await warning).message).toMatch(/A listener of notifier_listen threw: Error: bad listener/)
})

test.each<[string, () => unknown]>([
  [
    'throws',
    () => {
      throw new Error('bad listener')
    },
  ],
  ['is async and rejected', async () => Promise.reject(new Error('bad listener'))],
])('a listener that %s is reported to the listeners of worker_error', async (_how, listener) => {
  const events = new Events()
  const reported = events.once('worker_error')
  events.on('perform_start', listener as () => void)
  events.emit('perform_start', { jobId: 'j', jobClass: 'EchoJob', queueName: 'default', processId })
  expect(await reported).toEqual({ processId, part: 'listener of perform_start', error: new Error('bad listener') })
})

test('a listener of worker_error that fails leads to one warning', async () => {
  const events = new Events()
  const warning = new Promise<Error>((resolve) => process.once('warning', resolve))
  let calls = 0
  events.on('worker_error', async () => {
    calls += 1
    throw new Error('bad listener')
  })
  events.emit('worker_error', { part: 'x', error: null })
  expect((await warning).message).toMatch(/A listener of worker_error threw: Error: bad listener/)
  expect(calls).toBe(1)
})

test('once resolves with the first payload that matches, and rejects with the reason of its signal', async () => {
  const events = new Events()
  const matching = events.once('connection_retry', ({ attempt }) => attempt === 2)
  for (const attempt of [1, 2, 3]) events.emit('connection_retry', { processId, part: 'x', error: null, attempt })
  expect((await matching).attempt).toBe(2)
  const controller = new AbortController()
  const waiting = events.once('connection_retry', undefined, { signal: controller.signal })
  controller.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})
