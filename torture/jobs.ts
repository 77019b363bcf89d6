import { setTimeout as sleep } from 'node:timers/promises'
import { Job } from '../src/index.ts'
import { Ledger } from './ledger.ts'

/** The plan of a fleet job: its duration, how many of its runs are retried, and how many fail for good. */
export type Plan = [ms: number, failures: number, breaks: number]

class Hiccup extends Error {
  static readonly rubyName = 'Fleet::Hiccup'
}

class Broken extends Error {
  static readonly rubyName = 'Fleet::Broken'
}

let ledger: Ledger | undefined

/** The ledger of this process, when it is a worker. */
const ownLedger = (): Ledger => {
  const { LEDGER_URL: url, FLEET_WORKER: worker, FLEET_STRATEGY: strategy } = process.env
  if (url === undefined || worker === undefined || strategy === undefined) throw new Error('not a worker of a fleet')
  ledger ??= new Ledger(url, worker, strategy)
  return ledger
}

/** Writes the beginning and the end of `work` to the ledger. */
const inLedger = async (job: Job, work: () => Promise<void>): Promise<void> => {
  const { jobId, jobClass, executions, scheduledAt } = job
  const entry = await ownLedger().begin({ jobId, jobClass, executions, dueAt: scheduledAt })
  try {
    await work()
    await ownLedger().end(entry, 'done')
  } catch (error) {
    await ownLedger().end(entry, job.signal.aborted ? 'aborted' : 'failed')
    throw error
  }
}

/** A job that does what its plan says, and writes its attempts to the ledger. */
export abstract class LedgerJob extends Job<Plan> {
  static {
    LedgerJob.retryOn(Hiccup, { wait: 1, jitter: 0, attempts: 20 })
  }

  override perform(ms: number, failures: number, breaks: number): Promise<void> {
    return inLedger(this, async () => {
      await sleep(ms, undefined, { signal: this.signal })
      if (this.executions <= failures) throw new Hiccup(`run ${this.executions} of ${failures} that are retried`)
      if (this.executions <= failures + breaks) throw new Broken(`run ${this.executions} breaks`)
    })
  }
}

/** A class that exists in both languages. */
export class SharedJob extends LedgerJob {
  static override jobClass = 'Fleet::SharedJob'
  static override queueAs = 'shared'
}

/** A class that Ruby only knows as a stub. */
export class NodeJob extends LedgerJob {
  static override jobClass = 'Node::FleetJob'
  static override queueAs = 'node'
}

/** A class that only Ruby performs; not one of a worker here. */
export class RubyJob extends LedgerJob {
  static override jobClass = 'Fleet::RubyJob'
  static override queueAs = 'ruby'

  override async perform(): Promise<void> {
    throw new Error('performed in Ruby')
  }
}

/** Lets Ruby enqueue: each entry is a class, its options and its plan. */
export class EnqueueJob extends Job<[plans: readonly unknown[]]> {
  static override jobClass = 'Fleet::EnqueueJob'
  static override queueAs = 'ruby'

  override async perform(): Promise<void> {
    throw new Error('performed in Ruby')
  }
}

/** Every callback of the fleet's batches. */
export class CallbackJob extends Job {
  static override jobClass = 'Node::FleetCallbackJob'
  static override queueAs = 'node'

  override perform(): Promise<void> {
    return inLedger(this, async () => {})
  }
}
