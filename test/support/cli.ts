import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

/** The built command line. */
export const GOOD_JOB_CLI = join(import.meta.dirname, '../../dist/cli.js')

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface CliOptions {
  /** Added to an environment without GOOD_JOB_* and DATABASE_URL. */
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** The path of cli.js, from `cwd`. @default that of this package */
  readonly script?: string
}

/** A `good-job` of the built package as a process of its own; disposing of it kills it. */
export class Cli implements AsyncDisposable {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  readonly #waiting = new Set<() => void>()
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], { env = {}, cwd, script = GOOD_JOB_CLI }: CliOptions = {}) {
    this.#child = spawn(process.execPath, [script, ...args], { env: { ...cleanEnvironment(), ...env }, cwd })
    this.#closed = once(this.#child, 'close')
    this.pid = this.#child.pid ?? 0
    this.#child.stdin?.end()
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#hear(() => (this.#stdout += chunk.toString())))
    this.#child.stderr?.on('data', (chunk: Buffer) => this.#hear(() => (this.#stderr += chunk.toString())))
    void this.#closed.then(() => this.#hear(() => ''))
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves with the first match in its output on either stream. @throws Error if it ends without a match. */
  async says(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr)
      if (match !== null) return match
      if (this.hasEnded) throw new Error(`It ended without ${pattern}:\n${this.#stdout}${this.#stderr}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name)
  }

  async ended(): Promise<CliResult> {
    await this.#closed
    return { code: this.#child.exitCode, stdout: this.#stdout, stderr: this.#stderr }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.hasEnded) this.#child.kill('SIGKILL')
    await this.#closed
  }

  #hear(note: () => string): void {
    note()
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

/** Runs a command to its end. */
export const runCli = (args: readonly string[], options: CliOptions = {}): Promise<CliResult> =>
  new Cli(args, options).ended()

/** Runs a command on one database with --json and returns the parsed output. */
export const runJson = async <T>(databaseUrl: string, ...args: string[]): Promise<T> => {
  const { stdout, stderr } = await runCli([...args, '--json'], { env: { DATABASE_URL: databaseUrl } })
  try {
    return JSON.parse(stdout) as T
  } catch {
    throw new Error(`No JSON: ${stdout}${stderr}`)
  }
}

/** The environment without the shell's variables for workers, databases and colours. */
export const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^(GOOD_JOB_|RAILS_|DATABASE_URL|TEST_DATABASE_URL|NO_COLOR|FORCE_COLOR|PG)/.test(name),
    ),
  )
