// The jobs of rails/app/jobs once more, under the same names: a job does the same in either language. Compiled for the
// worker into output/node; node-only-jobs.ts has the names that Ruby only knows as stubs.
import { Pool } from 'pg'
import { type Batch, InterruptError, Job, type RubySymbol, registerSerializer } from '../dist/index.js'

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 40, allowExitOnIdle: true })

/** Records an event in compat_events. */
export const record = async (job: Job, name: string, payload: Record<string, unknown> = {}): Promise<void> => {
  const { jobId: job_id, jobClass: job_class, executions } = job
  const said = { side: 'node', pid: process.pid, job_id, job_class, executions, ...payload }
  await pool.query('INSERT INTO compat_events (name, payload) VALUES ($1, $2)', [name, said])
}

/** $1 name of the gate */
const PASS_GATE = `
  SELECT pg_advisory_lock_shared(key), pg_advisory_unlock_shared(key)
  FROM (SELECT hashtextextended($1, 1450) AS key) AS gate`

/** Waits while a test holds the gate of this name shut. */
const passGate = async (name: string): Promise<void> => {
  await pool.query(PASS_GATE, [name])
}

/** Whether a test wants the job of this name to fail once more. */
const takeFailure = async (name: string): Promise<boolean> => {
  const taken = await pool.query(
    'UPDATE compat_failures SET remaining = remaining - 1 WHERE name = $1 AND remaining > 0',
    [name],
  )
  return taken.rowCount === 1
}

class Money {
  readonly amount: number
  readonly currency: string

  constructor(amount: number, currency: string) {
    this.amount = amount
    this.currency = currency
  }
}

registerSerializer({
  name: 'MoneySerializer',
  klass: Money,
  serialize: ({ amount, currency }) => ({ amount, currency }),
  deserialize: ({ amount, currency }) => new Money(Number(amount), String(currency)),
})

/** The one that Ruby performs; not exported, so that no worker here takes it. */
class RubyEchoJob extends Job {
  static override jobClass = 'EchoJob'

  override async perform(_value: unknown, _expression: string): Promise<void> {
    throw new Error('EchoJob is performed in Ruby')
  }
}

class MemberFailed extends Error {
  static readonly rubyName = 'MemberJob::Failed'
}

export class MemberJob extends Job {
  static override jobClass = 'MemberJob'

  override async perform(name: string): Promise<void> {
    await record(this, 'started', { name })
    await passGate(name)
    if (await takeFailure(name)) throw new MemberFailed(`${name} failed on purpose`)
    await record(this, 'performed', { name })
  }
}

class Hiccup extends Error {
  static readonly rubyName = 'FlakyJob::Hiccup'
}

export class FlakyJob extends Job {
  static override jobClass = 'FlakyJob'
  static {
    FlakyJob.retryOn(Hiccup, { wait: 0, jitter: 0, attempts: 5 })
  }

  override async perform(failures: number): Promise<void> {
    if (this.executions <= failures) throw new Hiccup(`attempt ${this.executions} of ${failures} that fail`)
    await record(this, 'performed', { failures })
  }
}

class NotYet extends Error {
  static readonly rubyName = 'PatientJob::NotYet'
}

export class PatientJob extends Job {
  static override jobClass = 'PatientJob'
  static {
    PatientJob.retryOn(NotYet, { wait: 3600, jitter: 0, attempts: 5 })
  }

  override async perform(): Promise<void> {
    throw new NotYet('come back in an hour')
  }
}

export class AgainJob extends Job {
  static override jobClass = 'AgainJob'

  override async perform(): Promise<void> {
    if (this.executions === 1) await this.retryJob()
  }
}

class CountedFailed extends Error {
  static readonly rubyName = 'CountedJob::Failed'
}

export class CountedJob extends Job {
  static override jobClass = 'CountedJob'
  static {
    CountedJob.retryOn(CountedFailed, { wait: 3600, jitter: 0, attempts: 3 })
  }

  override async perform(..._args: unknown[]): Promise<void> {
    throw new CountedFailed(`attempt ${this.executions}`)
  }
}

class Gone extends Error {
  static readonly rubyName = 'DiscardableJob::Gone'
}

export class DiscardableJob extends Job {
  static override jobClass = 'DiscardableJob'
  static {
    DiscardableJob.discardOn(Gone)
  }

  override async perform(): Promise<void> {
    throw new Gone('nothing to do any more')
  }
}

class Hopeless extends Error {
  static readonly rubyName: string = 'RetryStopJob::Hopeless'
}

export class RetryStopJob extends Job {
  static override jobClass = 'RetryStopJob'
  static {
    RetryStopJob.retryOn(Hopeless, { wait: 0, jitter: 0, attempts: 2 })
  }

  override async perform(): Promise<void> {
    throw new Hopeless('fails every time')
  }
}

class HopelessWithBlock extends Error {
  static readonly rubyName = 'RetryStopWithBlockJob::Hopeless'
}

export class RetryStopWithBlockJob extends Job {
  static override jobClass = 'RetryStopWithBlockJob'
  static {
    RetryStopWithBlockJob.retryOn(HopelessWithBlock, { wait: 0, jitter: 0, attempts: 2 }, (job, { message }) =>
      record(job, 'exhausted', { message }),
    )
  }

  override async perform(): Promise<void> {
    throw new HopelessWithBlock('fails every time')
  }
}

class Unexpected extends Error {
  static readonly rubyName = 'UnhandledJob::Unexpected'
}

export class UnhandledJob extends Job {
  static override jobClass = 'UnhandledJob'

  override async perform(): Promise<void> {
    throw new Unexpected('unhandled on purpose')
  }
}

export class InterruptibleJob extends Job {
  static override jobClass = 'InterruptibleJob'
  static override interruptErrors = true
  static {
    InterruptibleJob.retryOn(InterruptError, { wait: 0, jitter: 0, attempts: 5 })
  }

  override async perform(name: string): Promise<void> {
    await record(this, 'started', { name })
    await passGate(name)
    await record(this, 'performed', { name })
  }
}

export class LabelledJob extends Job {
  static override jobClass = 'LabelledJob'
  static override labels = ['compat', 'blue']

  override async perform(name: string): Promise<void> {
    await record(this, 'performed', { name })
  }
}

export class PriorityJob extends Job {
  static override jobClass = 'PriorityJob'
  static override priority = 7

  override async perform(name: string): Promise<void> {
    await record(this, 'performed', { name })
  }
}

export class CronJob extends Job {
  static override jobClass = 'CronJob'

  override async perform(key: string): Promise<void> {
    await record(this, 'performed', { key })
  }
}

export class BatchCallbackJob extends Job {
  static override jobClass = 'BatchCallbackJob'

  override async perform(batch: Batch, { event }: { readonly event: RubySymbol }): Promise<void> {
    await record(this, 'callback', { event: event.name, batch_id: batch.id, properties: batch.properties })
    await passGate(`callbacks of ${batch.properties.name}`)
  }
}

class CallbackFailed extends Error {
  static readonly rubyName = 'FailingCallbackJob::Failed'
}

export class FailingCallbackJob extends Job {
  static override jobClass = 'FailingCallbackJob'

  override async perform(batch: Batch, { event }: { readonly event: RubySymbol }): Promise<void> {
    if (await takeFailure(`${event.name} of ${batch.properties.name}`)) {
      throw new CallbackFailed(`${event.name} callback failed on purpose`)
    }
    await record(this, 'callback', { event: event.name, batch_id: batch.id, properties: batch.properties })
  }
}

/** Ruby performs one at a time. */
export class LimitedJob extends Job {
  static override jobClass = 'LimitedJob'

  override async perform(name: string): Promise<void> {
    await record(this, 'started', { name })
    await passGate(name)
    await record(this, 'performed', { name })
  }
}

/** Passes a value on to Ruby. */
export class NodeEchoJob extends Job {
  static override jobClass = 'Node::EchoJob'
  static override queueAs = 'node'

  override async perform(value: unknown, expression: string): Promise<void> {
    await RubyEchoJob.performLater(value, expression)
  }
}
