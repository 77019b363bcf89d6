import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Mutant } from './mutant.ts'

const run = promisify(execFile)

/** A test that waits for something that a mutant never does need not wait for a minute. */
const TEST_TIMEOUT_MS = 45_000
/** A mutant that blocks the event loop of its tests is ended. */
const RUN_TIMEOUT_MS = 240_000

/** What the named tests did. */
export interface TestRun {
  /** Tests by file and full name. */
  readonly tests: readonly { readonly file: string; readonly fullName: string; readonly isRed: boolean }[]
  /** Files that could not be loaded, and other errors that are no red test. */
  readonly trouble: string | undefined
  readonly isTimedOut: boolean
}

interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[]
  }[]
}

/** A copy of the project in which one guard at a time is taken away. */
export class Workshop {
  readonly #root: string
  readonly #folder: string
  readonly #databaseUrl: string

  private constructor(root: string, folder: string, databaseUrl: string) {
    this.#root = root
    this.#folder = folder
    this.#databaseUrl = databaseUrl
  }

  /** Copies what git knows of, with changes that are not committed. Tests use the server of `databaseUrl`. */
  static async open(root: string, name: string, databaseUrl: string): Promise<Workshop> {
    const folder = join(root, '.tmp/mutants', name)
    await rm(folder, { recursive: true, force: true })
    const { stdout } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root })
    for (const path of stdout.split('\n').filter((line) => line !== '')) {
      await mkdir(dirname(join(folder, path)), { recursive: true })
      // A file that was deleted and not committed yet is still listed.
      await cp(join(root, path), join(folder, path)).catch(ignoreMissing)
    }
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    const workshop = new Workshop(root, folder, databaseUrl)
    await workshop.#build()
    return workshop
  }

  /** Runs tests on the project as it is. */
  runUnchanged(tests: Mutant['tests']): Promise<TestRun> {
    return this.#runTests(tests, Number.POSITIVE_INFINITY)
  }

  /** Runs the tests of a mutant without its guard. @throws when its text does not stand exactly once in its file */
  async runWithout(mutant: Mutant): Promise<TestRun> {
    const path = join(this.#folder, mutant.file)
    const source = await readFile(path, 'utf8')
    await writeFile(path, withoutGuard(source, mutant))
    try {
      await this.#build()
      return await this.#runTests(mutant.tests, RUN_TIMEOUT_MS)
    } finally {
      await writeFile(path, source)
    }
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }

  // Without types: what is unused without the guard is no mistake.
  async #build(): Promise<void> {
    const tsc = join(this.#root, 'node_modules/typescript/bin/tsc')
    const args = [tsc, '-p', 'tsconfig.build.json', '--noCheck', '--declaration', 'false']
    await run(process.execPath, args, { cwd: this.#folder })
    await run('chmod', ['+x', 'dist/cli.js'], { cwd: this.#folder })
  }

  async #runTests(tests: Mutant['tests'], timeoutMs: number): Promise<TestRun> {
    const report = join(this.#folder, 'report.json')
    await rm(report, { force: true })
    const titles = Object.values(tests)
    const isWhole = titles.some((ofFile) => ofFile.length === 0)
    const args = [
      join(this.#root, 'node_modules/vitest/vitest.mjs'),
      ...['run', '--config', 'test/vitest.config.ts', '--reporter=json', `--outputFile=${report}`],
      `--testTimeout=${TEST_TIMEOUT_MS}`,
      ...(isWhole ? [] : ['--testNamePattern', titles.flat().map(escaped).join('|')]),
      ...Object.keys(tests),
    ]
    const { TEST_RESULTS: _results, ...env } = process.env
    const child = spawn(process.execPath, args, {
      cwd: this.#folder,
      env: { ...env, TEST_DATABASE_URL: this.#databaseUrl },
      stdio: ['ignore', 'ignore', 'pipe'],
      // A group of its own: what the tests have started ends with them.
      detached: true,
    })
    const end = () => void (child.exitCode === null && child.pid !== undefined && process.kill(-child.pid, 'SIGKILL'))
    process.once('exit', end)
    let stderr = ''
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString()
    })
    let isTimedOut = false
    const endLate = () => {
      isTimedOut = true
      end()
    }
    const timer = Number.isFinite(timeoutMs) ? setTimeout(endLate, timeoutMs) : undefined
    await once(child, 'close')
    clearTimeout(timer)
    process.off('exit', end)
    if (isTimedOut) return { tests: [], trouble: undefined, isTimedOut }
    const text = await readFile(report, 'utf8').catch(() => undefined)
    if (text === undefined) return { tests: [], trouble: `vitest wrote no report: ${stderr.slice(-2_000)}`, isTimedOut }
    return this.#read(JSON.parse(text) as Report)
  }

  #read({ testResults }: Report): TestRun {
    const isUnloaded = ({ status, assertionResults }: Report['testResults'][number]) =>
      status === 'failed' && assertionResults.length === 0
    const unloaded = testResults.filter(isUnloaded).map(({ name, message }) => `${name}: ${message}`)
    const tests = testResults.flatMap(({ name, assertionResults }) =>
      assertionResults
        .filter(({ status }) => status === 'passed' || status === 'failed')
        .map(({ fullName, status }) => ({
          file: name.slice(this.#folder.length + 1),
          fullName,
          isRed: status === 'failed',
        })),
    )
    return { tests, trouble: unloaded.length > 0 ? unloaded.join('\n') : undefined, isTimedOut: false }
  }
}

/** The text of a file without the guard. @throws when the guard does not stand exactly once in it */
export const withoutGuard = (source: string, { name, file, text, replacement }: Mutant): string => {
  const count = source.split(text).length - 1
  if (count !== 1) throw new Error(`"${name}": its text stands ${count} times in ${file}, not once:\n${text}`)
  return source.replace(text, () => replacement)
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

const ignoreMissing = (error: NodeJS.ErrnoException): void => {
  if (error.code !== 'ENOENT') throw error
}
