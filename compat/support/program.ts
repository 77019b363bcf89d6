import { type ChildProcess, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { expect } from 'vitest'

/** Screenshots and logs of the last run; ignored by git. */
export const OUTPUT = new URL('../output/', import.meta.url).pathname

interface ProgramOptions {
  /** Names the log file: `output/logs/<test file>/<name>.log`, numbered when it ran before. */
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  readonly env: NodeJS.ProcessEnv
  /** Passes standard output to the caller instead of the log. */
  readonly pipesOutput?: boolean
}

const runs = new Map<string, number>()

/** A process that this test run started. It ends with the test run, and only it is ever signalled. */
export class Program {
  readonly pid: number
  readonly logFile: string
  readonly #child: ChildProcess
  readonly #exit: Promise<void>

  constructor({ name, command, args, cwd, env, pipesOutput = false }: ProgramOptions) {
    this.logFile = logFile(name)
    const log = createWriteStream(this.logFile)
    this.#child = spawn(command, args, { cwd, env, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#exit = new Promise((resolve) => this.#child.once('close', () => resolve()))
    this.#child.once('error', (error) => log.write(`${error.stack}\n`))
    this.#child.stderr?.pipe(log, { end: false })
    if (!pipesOutput) this.#child.stdout?.pipe(log, { end: false })
    this.#child.stdin?.on('error', () => {}) // It ended meanwhile, which whoever waits for an answer learns.
    this.pid = this.#child.pid ?? 0
  }

  get output(): Readable {
    if (this.#child.stdout === null) throw new Error('spawned without a pipe')
    return this.#child.stdout
  }

  get hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves when the process is gone. */
  get exited(): Promise<void> {
    return this.#exit
  }

  get exitCode(): number | null {
    return this.#child.exitCode
  }

  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** SIGTERM, and waits for the end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Everything that it has said so far. */
  words(): string {
    return readFileSync(this.logFile, 'utf8')
  }

  /** The last lines of it, for a failure's text. */
  lastWords(): string {
    return this.words().trimEnd().split('\n').slice(-30).join('\n')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (!this.hasExited) this.#child.kill(signal)
    await this.#exit
  }
}

const logFile = (name: string): string => {
  // Benchmarks start these programs too, without vitest.
  const testPath = process.env.VITEST === undefined ? 'bench' : expect.getState().testPath
  const folder = `${OUTPUT}logs/${basename(testPath ?? '', '.test.ts')}`
  mkdirSync(folder, { recursive: true })
  const run = (runs.get(name) ?? 0) + 1
  runs.set(name, run)
  const file = `${folder}/${name}${run === 1 ? '' : `-${run}`}.log`
  writeFileSync(file, '') // At once: a worker's ready line is read from here, and an earlier run may have left one.
  return file
}
