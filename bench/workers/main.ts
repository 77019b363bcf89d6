// A process of one contender: works or enqueues as the run tells it over IPC.
import { setTimeout as sleep } from 'node:timers/promises'
import { type ContenderModule, type FromWorker, sharedNow, type ToWorker, type WorkerSpec } from './spec.ts'

const REPORT_EVERY_MS = 20

const spec = JSON.parse(process.env.BENCH_SPEC ?? '') as WorkerSpec
const contender = (await import(spec.module)) as ContenderModule
const say = (message: FromWorker): void => void process.send?.(message)

let count = 0
let reported = 0
let firstAt = 0
const delays: number[] = []

const body = (sentAt?: number): Promise<void> | undefined => {
  const now = sharedNow()
  if (count === 0) firstAt = now
  if (sentAt !== undefined) delays.push(now - sentAt)
  if (spec.jobMs === 0) {
    count += 1
    return undefined
  }
  return sleep(spec.jobMs).then(() => {
    count += 1
  })
}

setInterval(() => {
  if (count === reported) return
  reported = count
  say({ kind: 'ran', count, firstAt })
}, REPORT_EVERY_MS)

const worker = await contender.makeWorker(spec, body)

const enqueue = async (message: ToWorker): Promise<void> => {
  const enqueuer = await contender.makeEnqueuer(spec)
  await enqueuer.one(undefined)
  const startedAt = sharedNow()
  if (message.kind === 'enqueueOneByOne') {
    for (let sent = 0; sent < message.count; sent += 1) {
      await enqueuer.one(message.isTimed ? sharedNow() : undefined)
      if (message.pauseMs > 0) await sleep(message.pauseMs)
    }
  } else if (message.kind === 'enqueueBulk') {
    for (let sent = 0; sent < message.count; sent += message.size) await enqueuer.many(message.size)
  }
  say({ kind: 'enqueued', ms: sharedNow() - startedAt })
  await enqueuer.close()
}

process.on('message', async (message: ToWorker) => {
  switch (message.kind) {
    case 'start':
      await worker.start()
      return say({ kind: 'started' })
    case 'stop':
      await worker.stop()
      say({ kind: 'stopped', delays })
      return process.disconnect()
    default:
      return enqueue(message)
  }
})
process.once('disconnect', () => process.exit(0))

say({ kind: 'booted' })
