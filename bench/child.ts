import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { EnqueueOrder, FromWorker, ToWorker, WorkerSpec } from './workers/spec.ts'

/** bench.js compiled workers/ there. */
const MAIN = new URL('../.tmp/bench-workers/main.js', import.meta.url).pathname

/** The resources that a process has used so far. */
export interface Usage {
  /** User and system time. */
  readonly cpuSeconds: number
  readonly rssMb: number
}

/** A process of a contender that this run started. */
export interface WorkerProcess {
  /** Jobs that have run, as known a few milliseconds ago. */
  readonly count: number
  /** When the first job began, on the clock of `sharedNow`. */
  readonly firstAt: number
  /** When `count` had been reached. */
  readonly at: number
  usage(): Promise<Usage>
  start(): Promise<void>
  /** Ends it; returns the delays that its jobs measured, in milliseconds. */
  stop(): Promise<readonly number[]>
  /** For one that did not start. */
  kill(): void
}

/** A contender in Node. */
export class Child implements WorkerProcess {
  readonly #process: ChildProcess
  #count = 0
  #firstAt = Number.POSITIVE_INFINITY
  #at = 0
  readonly #heard: FromWorker[] = []

  private constructor(process: ChildProcess) {
    this.#process = process
    process.on('message', (message: FromWorker) => this.#hear(message))
  }

  /** Resolves when its modules are loaded; it does not work yet. */
  static async boot(spec: WorkerSpec): Promise<Child> {
    const child = new Child(
      spawn(process.execPath, [MAIN], {
        env: { ...process.env, BENCH_SPEC: JSON.stringify(spec) },
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      }),
    )
    await child.#answer('booted')
    return child
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  get count(): number {
    return this.#count
  }

  get firstAt(): number {
    return this.#firstAt
  }

  get at(): number {
    return this.#at
  }

  usage(): Promise<Usage> {
    return readUsage(this.pid)
  }

  async start(): Promise<void> {
    this.#tell({ kind: 'start' })
    await this.#answer('started')
  }

  /** The duration in milliseconds. */
  async enqueue(order: EnqueueOrder): Promise<number> {
    this.#tell({ kind: 'enqueue', order })
    return (await this.#answer('enqueued')).ms
  }

  async stop(): Promise<readonly number[]> {
    const exit = once(this.#process, 'exit')
    this.#tell({ kind: 'stop' })
    const { delays } = await this.#answer('stopped')
    await exit
    return delays
  }

  kill(): void {
    this.#process.kill('SIGKILL')
  }

  #tell(message: ToWorker): void {
    this.#process.send(message)
  }

  #hear(message: FromWorker): void {
    if (message.kind === 'ran') {
      this.#count = message.count
      this.#firstAt = message.firstAt
      this.#at = message.at
    } else {
      this.#heard.push(message)
      this.#process.emit('heard')
    }
  }

  async #answer<K extends FromWorker['kind']>(kind: K): Promise<Extract<FromWorker, { kind: K }>> {
    for (;;) {
      const index = this.#heard.findIndex((message) => message.kind === kind)
      if (index >= 0) return this.#heard.splice(index, 1)[0] as Extract<FromWorker, { kind: K }>
      if (this.#process.exitCode !== null) throw new Error(`a worker process ended before it was "${kind}"`)
      const over = new AbortController()
      await Promise.race([
        once(this.#process, 'heard', { signal: over.signal }),
        once(this.#process, 'exit', { signal: over.signal }),
      ]).finally(() => over.abort())
    }
  }
}

const TICKS_PER_SECOND = 100

/** From /proc, so that it is the same for programs of any language. */
export const readUsage = async (pid: number): Promise<Usage> => {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return {
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
    rssMb: Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024,
  }
}
