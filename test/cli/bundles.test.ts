import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Job, JobConstructor } from '../../src/index.ts'
import { inTurn } from '../support/clean-up.ts'
import { Cli, runCli } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'

/** The package as it is published; bundles leave it out, unless `isWhole`. */
const PACKAGE = join(import.meta.dirname, '../../dist/index.js')

let database: TestDatabase
let folder: string
let adapter: { close(): Promise<void> }

beforeAll(async () => {
  database = await createDatabase()
  folder = await mkdtemp(join(tmpdir(), 'good-job-bundles-'))
  const built = (await import(PACKAGE)) as typeof import('../../src/index.ts')
  const own = new built.Adapter({ databaseUrl: database.url })
  built.Job.queueAdapter = own
  adapter = own
})
afterAll(
  inTurn(
    () => adapter.close(),
    () => rm(folder, { recursive: true }),
    () => database.drop(),
  ),
)

const write = async (name: string, source: string): Promise<string> => {
  const file = join(folder, name)
  await writeFile(file, source.replaceAll('good-job-node', PACKAGE))
  return file
}

/** Bundles and minifies a source as an application's build does. */
const bundle = async (
  name: string,
  source: string,
  { format = 'esm', isWhole = false }: { format?: 'esm' | 'cjs'; isWhole?: boolean } = {},
): Promise<string> => {
  const input = await write(`source-of-${name}.mjs`, source)
  const file = join(folder, `${name}.${format === 'cjs' ? 'cjs' : 'mjs'}`)
  const build = await rolldown({
    input,
    platform: 'node',
    external: isWhole ? ['pg-native'] : [PACKAGE],
    logLevel: 'silent',
  })
  await build.write({ file, format, minify: true, codeSplitting: false })
  await build.close()
  return file
}

const enqueue = async (made: JobConstructor | undefined, id: number): Promise<Job> => {
  const job = await made?.set({}).performLater(...([id] as never[]))
  if (!job) throw new Error('not enqueued')
  return job
}

type Exports = Readonly<Record<string, JobConstructor>>
const load = async (file: string): Promise<Exports> => (await import(file)) as Exports

const jobs = (options: { declared?: string; line?: string } = {}): string => `
  import { Job } from 'good-job-node'
  ${options.line ?? ''}
  const declare = ${options.declared ?? '() => ({})'}
  export class WelcomeJob extends Job {
    static { Object.assign(this, declare('WelcomeJob')) }
    async perform(id) { this.logger.info({ id }, 'WELCOME') }
  }
  export class DeleteAccountJob extends Job {
    static { Object.assign(this, declare('DeleteAccountJob')) }
    async perform(id) { this.logger.info({ id }, 'DELETE ACCOUNT') }
  }`
const LINE = 'export class Unrelated {}'
const DECLARED = '(jobClass) => ({ jobClass })'
const start = (...files: string[]) => new Cli(['start', ...files], { env: { DATABASE_URL: database.url } })
const refuse = (...files: string[]) => runCli(['start', ...files], { env: { DATABASE_URL: database.url } })

describe('two builds that differ in one unrelated line', () => {
  test('give two classes the same name, and that name is refused for enqueueing and running', async () => {
    const files = [await bundle('one', jobs()), await bundle('two', jobs({ line: LINE }))]
    const names = await Promise.all(
      files.map(async (file) => Object.entries(await load(file)).map(([name, made]) => `${made.name} is ${name}`)),
    )
    const [one = [], two = []] = names.map((of) => of.filter((text) => / is (WelcomeJob|DeleteAccountJob)$/.test(text)))
    expect(one.length).toBe(2)
    expect(one).not.toEqual(two)
    for (const file of files) {
      await expect(enqueue((await load(file)).WelcomeJob, 7)).rejects.toThrow(
        /is not a usable name for a job class: build tools make such names/,
      )
      const { code, stderr } = await refuse(file)
      expect(code).toBe(2)
      expect(stderr).toContain(`error: ${file}: "`)
      expect(stderr).toContain(`Add static jobClass = '…' to the class (class extends `)
    }
  })

  test('run the right jobs if the classes declare their names', async () => {
    const enqueuing = await load(await bundle('declared-one', jobs({ declared: DECLARED })))
    const working = await bundle('declared-two', jobs({ declared: DECLARED, line: LINE }))
    const job = await enqueue(enqueuing.WelcomeJob, 7)
    expect(job.jobClass).toBe('WelcomeJob')
    await using worker = start(working)
    await worker.says(/"jobClass":"WelcomeJob".*"id":7,"msg":"WELCOME"/)
  })

  test('run jobs that wait under a former name, and store the new name on a retry', async () => {
    const before = await load(
      await bundle('before', jobs({ declared: `(name) => ({ jobClass: name === 'WelcomeJob' ? 't' : name })` })),
    )
    const after = await bundle(
      'after',
      `import { Job } from 'good-job-node'
      class Hiccup extends Error { static rubyName = 'HiccupError' }
      export class GreetingJob extends Job {
        static { this.jobClass = 'GreetingJob'; this.formerNames = ['t']; this.retryOn(Hiccup, { wait: 0, jitter: 0 }) }
        async perform(id) {
          if (this.executions === 1) throw new Hiccup('once')
          this.logger.info({ id }, 'GREETING')
        }
      }`,
    )
    const job = await enqueue(before.WelcomeJob, 7)
    await using worker = start(after)
    const [line] = await worker.says(/ready.*/)
    expect(line).toContain('1 job class: GreetingJob (formerly t)')
    await worker.says(/"id":7,"msg":"GREETING"/)
    const published = await database
      .pool()
      .query(
        `SELECT state->'good_job_node'->'job_classes' AS classes FROM good_job_processes WHERE state->>'pid' = $1`,
        [String(worker.pid)],
      )
    expect(published.rows).toEqual([{ classes: ['GreetingJob', 't'] }])
    const row = `SELECT job_class, serialized_params->>'job_class' AS stored, serialized_params->'exception_executions' AS counted
      FROM good_jobs WHERE id = $1`
    const { rows } = await database.pool().query(row, [job.jobId])
    expect(rows).toEqual([{ job_class: 'GreetingJob', stored: 'GreetingJob', counted: { '[HiccupError]': 1 } }])
  })
})

describe('start finds the classes of', () => {
  const WHOLE = `const { Job } = require('good-job-node')
    class WelcomeJob extends Job { perform() {} }
    class DeleteAccountJob extends Job { perform() {} }`
  const cases: [string, () => Promise<string>][] = [
    ['a CommonJS bundle', () => bundle('named', jobs({ declared: DECLARED }), { format: 'cjs' })],
    [
      'a CommonJS module that exports a whole object',
      () => write('whole.cjs', `${WHOLE}\nconst all = { WelcomeJob, DeleteAccountJob }\nmodule.exports = all`),
    ],
    [
      'a module with a default export that holds them',
      () =>
        write(
          'default.mjs',
          `${jobs({ declared: DECLARED })}\nexport default { jobs: 2, WelcomeJob, DeleteAccountJob }`,
        ),
    ],
    [
      'a module with a default export that lists them',
      () =>
        write(
          'list.mjs',
          `${jobs({ declared: DECLARED }).replaceAll('export class', 'class')}\nexport default [WelcomeJob, DeleteAccountJob]`,
        ),
    ],
  ]
  test.each(cases)('%s', async (_what, make) => {
    await using worker = start(await make())
    const [line] = await worker.says(/ready.*|error:.*/)
    expect(line).toContain('2 job classes: DeleteAccountJob, WelcomeJob')
  })
})

describe('a bundle in the form of webpack', () => {
  const webpack = (declared: string): string =>
    `(()=>{"use strict";var e={145:e=>{e.exports=require("good-job-node")}},t={};function r(n){var a=t[n];if(void 0!==a)return a.exports;` +
    `var i=t[n]={exports:{}};return e[n](i,i.exports,r),i.exports}var n={};(()=>{var e=n;Object.defineProperty(e,"__esModule",{value:!0}),` +
    `e.WelcomeJob=void 0;const t=r(145);class o extends t.Job{${declared}perform(){}}e.WelcomeJob=o})(),module.exports=n})();`

  test('is refused if its classes have minified names', async () => {
    const { code, stderr } = await refuse(await write('webpack.cjs', webpack('')))
    expect(stderr).toContain('"o" is not a usable name for a job class: build tools make such names')
    expect(code).toBe(2)
  })

  test('runs if its classes declare their names', async () => {
    await using worker = start(await write('webpack-declared.cjs', webpack('static jobClass="WelcomeJob";')))
    const [line] = await worker.says(/ready.*|error:.*/)
    expect(line).toContain('1 job class: WelcomeJob')
  })
})

describe('with a second copy of this package in a bundle', () => {
  test.each(['esm', 'cjs'] as const)('start refuses its classes for that reason (%s)', async (format) => {
    const { code, stdout, stderr } = await refuse(
      await bundle(`copy-${format}`, jobs({ declared: DECLARED }), { format, isWhole: true }),
    )
    expect(stdout).not.toContain('ready')
    expect(stderr).toContain(
      'Job extends the Job of another copy of good-job-node; leave good-job-node out of the bundle',
    )
    expect(code).toBe(1)
  })

  test.each(['esm', 'cjs'] as const)(
    'a capsule inside the bundle refuses to start instead of failing at its first claim (%s)',
    async (format) => {
      const file = await bundle(
        `host-${format}`,
        `import { Capsule, Job } from 'good-job-node'
      class WelcomeJob extends Job { static { this.jobClass = 'WelcomeJob' } perform() {} }
      const capsule = new Capsule({ jobs: [WelcomeJob] })
      capsule.start().then(() => console.log('ready'))`,
        { format, isWhole: true },
      )
      const { status, stdout, stderr } = spawnSync(process.execPath, [file], {
        env: { ...process.env, DATABASE_URL: database.url },
        encoding: 'utf8',
        timeout: 30_000,
      })
      expect(stdout).toBe('')
      expect(stderr).toContain('good-job-node is part of a bundle, and the files of its threads are not beside it')
      expect(status).toBe(1)
    },
  )
})

test.each<[string, string, RegExp]>([
  [
    'perform as a field',
    'export class ArrowJob extends Job { perform = async () => {} }',
    /ArrowJob cannot be run: its perform is a field/,
  ],
  [
    'a default export without a name',
    'export default class extends Job { perform() {} }',
    /"default" is not a usable name for a job class/,
  ],
])('start refuses %s', async (_what, source, refusal) => {
  const file = await write(`refused-${source.length}.mjs`, `import { Job } from 'good-job-node'\n${source}`)
  const { code, stderr } = await refuse(file)
  expect(stderr).toMatch(refusal)
  expect(code).toBe(2)
})
