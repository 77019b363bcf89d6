// A process of one contender: works or enqueues as the run requests over IPC.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ContenderModule,
  type EnqueueOrder,
  type Enqueuer,
  type FromWorker,
  sharedNow,
  type ToWorker,
  type WorkerSpec,
} from './spec.ts'

const REPORT_EVERY_MS = 20

const spec = JSON.parse(process.env.BENCH_SPEC ?? '') as WorkerSpec
const contender = (await import(spec.module)) as ContenderModule
const say = (message: FromWorker): void => void process.send?.(message)

let count = 0
let timer: NodeJS.Timeout | undefined
let firstAt = 0
const delays: number[] = []

const perform = (sentAt?: number): Promise<void> | undefined => {
  const now = sharedNow()
  if (count === 0) firstAt = now
  if (sentAt !== undefined) delays.push(now - sentAt)
  if (spec.jobMs === 0) {
    count += 1
    reportSoon()
    return undefined
  }
  return sleep(spec.jobMs).then(() => {
    count += 1
    reportSoon()
  })
}

/** Only while jobs run: an idle process should cost what the contender costs. */
const reportSoon = (): void => {
  if (timer !== undefined) return
  timer = setTimeout(() => {
    timer = undefined
    say({ kind: 'ran', count, firstAt, at: sharedNow() })
  }, REPORT_EVERY_MS)
}

const worker = await contender.makeWorker(spec, perform)

const stopping = new AbortController()

const enqueueAs = async (order: EnqueueOrder, enqueuer: Enqueuer): Promise<void> => {
  switch (order.kind) {
    case 'oneByOne':
      for (let sent = 0; sent < order.count; sent += 1) {
        await enqueuer.one(order.isTimed ? sharedNow() : undefined)
        if (order.pauseMs > 0) await sleep(order.pauseMs)
      }
      return
    case 'bulk':
      for (let sent = 0; sent < order.count; sent += order.size) await enqueuer.many(order.size)
      return
    case 'steadily':
      say({ kind: 'enqueued', ms: 0 })
      while (!stopping.signal.aborted) {
        const due = sharedNow() + order.everyMs
        await enqueuer.many(order.size)
        await sleep(Math.max(0, due - sharedNow()))
      }
  }
}

let enqueueing: Promise<void> = Promise.resolve()

const enqueue = async (order: EnqueueOrder): Promise<void> => {
  const enqueuer = await contender.makeEnqueuer(spec)
  // Connections are made and statements prepared with the first job.
  await enqueuer.one(undefined)
  const startedAt = sharedNow()
  await enqueueAs(order, enqueuer)
  if (order.kind !== 'steadily') say({ kind: 'enqueued', ms: sharedNow() - startedAt })
  await enqueuer.close()
}

process.on('message', async (message: ToWorker) => {
  switch (message.kind) {
    case 'start':
      await worker.start()
      return say({ kind: 'started' })
    case 'stop':
      stopping.abort()
      await Promise.all([worker.stop(), enqueueing])
      // A long message may still be under way when send() returns.
      return process.send?.({ kind: 'stopped', delays } satisfies FromWorker, () => process.disconnect())
    case 'enqueue':
      enqueueing = enqueue(message.order)
      return enqueueing
  }
})
process.once('disconnect', () => process.exit(0))

say({ kind: 'booted' })
