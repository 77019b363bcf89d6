import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeProcessOptions } from '../src/cli/start/process-options.ts'
import { describeOptions } from '../src/cli/start/worker-options.ts'
import { OPTION_RULES } from '../src/configuration.ts'
import { inTurn } from './support/clean-up.ts'
import { Cli, runCli } from './support/cli.ts'
import { createDatabase, type TestDatabase } from './support/postgres.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '..')
const PAGES = [
  'README.md',
  'docs/batches.md',
  'docs/operations.md',
  'docs/options.md',
  'docs/deployment.md',
  'docs/processes.md',
  'docs/configuration-of-goodjob.md',
  'docs/beside-rails.md',
  'docs/concurrency.md',
  'docs/cron.md',
  'docs/unique-jobs.md',
  'docs/architecture.md',
  'docs/where.md',
  'docs/torture.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
]

/** Without the spaces that align the columns of tables. */
const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8').replaceAll(/(?<=\|) +| +(?=\|)/g, ' ')
const blocks = (path: string, language: string): string[] =>
  [...read(path).matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(([, text]) => text ?? '')

describe('TypeScript in the pages', () => {
  let folder: string
  let database: TestDatabase

  /** Every block is a file, named in its first line, beside an installed package. */
  beforeAll(async () => {
    database = await createDatabase()
    folder = await mkdtemp(join(tmpdir(), 'good-job-readme-'))
    await mkdir(join(folder, 'node_modules/@types'), { recursive: true })
    await symlink(ROOT, join(folder, 'node_modules/good-job-node'))
    await symlink(join(ROOT, 'node_modules/pino'), join(folder, 'node_modules/pino'))
    await symlink(join(ROOT, 'node_modules/pg'), join(folder, 'node_modules/pg'))
    await symlink(join(ROOT, 'node_modules/@types/pg'), join(folder, 'node_modules/@types/pg'))
    await symlink(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
    const compilerOptions = {
      target: 'ES2023',
      module: 'NodeNext',
      strict: true,
      noUncheckedIndexedAccess: true,
      types: ['node'],
    }
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }))
    for (const text of PAGES.flatMap((page) => blocks(page, 'ts'))) {
      const name = /^\/\/ (\S+\.ts)$/m.exec(text)?.[1]
      if (name !== undefined) await writeFile(join(folder, name), text)
    }
  })
  afterAll(
    inTurn(
      () => rm(folder, { recursive: true, force: true }),
      () => database.drop(),
    ),
  )

  test('compiles under strict rules, enqueues, and is worked by the commands beside it', {
    timeout: 60_000,
  }, async () => {
    await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', folder])
    const env = { ...process.env, DATABASE_URL: database.url }
    await run(process.execPath, ['enqueue.js'], { cwd: folder, env })
    const enqueued = await database
      .pool()
      .query(
        'SELECT job_class, queue_name, priority, scheduled_at > now() AS is_later FROM good_jobs ORDER BY priority DESC',
      )
    expect(enqueued.rows.length).toBe(5)
    expect(enqueued.rows[0]).toEqual({
      job_class: 'Node::ThumbnailJob',
      queue_name: 'node',
      priority: 5,
      is_later: true,
    })

    await run(process.execPath, ['--eval', "import('./batch.js').then(({ enqueueAlbum }) => enqueueAlbum(3))"], {
      cwd: folder,
      env,
    })
    await using worker = new Cli(['start', '--queues=node', './jobs.js', './batch.js'], { cwd: folder, env })
    await worker.says(/ready/)
    await worker.says(/"albumId":3,"msg":"all thumbnails are ready"/)
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(0)
    const { rows } = await database
      .pool()
      .query('SELECT count(*)::int AS jobs FROM good_jobs WHERE finished_at IS NULL')
    expect(rows).toEqual([{ jobs: 1 }])
    await run(process.execPath, ['inside.js'], { cwd: folder, env })
    const host = spawn(process.execPath, ['host.js'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(host, 'close')
    let log = ''
    for await (const text of host.stdout.setEncoding('utf8')) {
      log += text
      if (text.includes('"msg":"Started a pool"')) host.kill('SIGTERM')
    }
    expect(await ended).toEqual([0, null])
    expect(log).toContain('"msg":"Shut down"')
  })

  test('names its file in the first line of each block', () => {
    const texts = PAGES.flatMap((page) => blocks(page, 'ts'))
    expect(texts.filter((text) => !/^\/\/ \S+\.ts\n/.test(text) && !isOneOfContributing(text))).toEqual([])
  })

  // CONTRIBUTING.md shows lines of tests, which are tested there.
  const isOneOfContributing = (text: string): boolean => read('CONTRIBUTING.md').includes(text)
})

describe('commands in the pages', () => {
  const lines = PAGES.flatMap((page) => blocks(page, 'sh'))
    .flatMap((text) => text.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim())
    .filter((line) => line !== '')

  const goodJob = [...new Set(lines.filter((line) => line.startsWith('npx good-job ')))]

  test.each(goodJob)('%s exists with its options', async (line) => {
    const args = [...line.replace('npx good-job ', '').matchAll(/"([^"]*)"|(\S+)/g)].map(
      ([, quoted, bare]) => quoted ?? bare ?? '',
    )
    // Without a database a command fails at the connection, which it only opens if its arguments are right.
    const isWorker = args[0] === 'start'
    const isOffline = isWorker || args[1] === 'print' || args.slice(0, 2).join(' ') === 'cron next'
    const { code, stderr } = await runCli(isWorker ? [...args, '--help'] : args, {
      env: { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' },
    })
    expect(stderr).toMatch(isOffline ? /^$/ : /ECONNREFUSED/)
    expect(code).toBe(isOffline ? 0 : 1)
  })

  test('npm scripts exist', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const named = lines.flatMap((line) => [...line.matchAll(/npm (?:run )?(\w[\w:]*)/g)].map(([, name]) => name ?? ''))
    expect(named.length).toBeGreaterThan(5)
    expect(named.filter((name) => !['ci', 'install'].includes(name) && !(name in scripts))).toEqual([])
  })
})

test('the table of options matches the command line and the configuration', () => {
  const rows = describeOptions().map(
    ({ flag, text, default: byDefault, environment }) =>
      `| \`${flag}\` | ${text} | ${byDefault || '–'} | ${environment.map((name) => `\`${name}\``).join(', ')} |`,
  )
  const table = /<!-- options: .*-->\n([\s\S]*?)<!-- \/options -->/.exec(read('docs/options.md'))?.[1] ?? ''
  expect(table.trimEnd().split('\n').slice(2)).toEqual(rows)
  expect(rows.length).toBe(Object.keys(OPTION_RULES).length)
})

test('the table of options of `start` alone matches the command line', () => {
  const rows = describeProcessOptions().map(
    ({ flag, text, environment }) => `| \`${flag}\` | ${text} | \`${environment}\` |`,
  )
  const table =
    /<!-- process options: .*-->\n([\s\S]*?)<!-- \/process options -->/.exec(read('docs/options.md'))?.[1] ?? ''
  expect(table.trimEnd().split('\n').slice(2)).toEqual(rows)
})

test('the table "works with" names the versions that the tests run', () => {
  const [, table = ''] = read('README.md').split('\n## Works with\n')
  const rows = [...table.matchAll(/^\| (?:Rails|GoodJob|Postgres|Node)[^|]*\| ([^|]+) \| (.+) \|$/gm)]
  expect(rows.length).toBe(5)
  for (const [, versions = '', shown = ''] of rows) {
    const tests = [...shown.matchAll(/\]\(([^)]+)\)/g)].map(([, path]) => read(path ?? '')).join('\n')
    for (const version of versions.split(', ')) {
      const isNamed = new RegExp(`(?<![\\d.])${version.trim().replaceAll('.', '\\.')}(?![\\d])`).test(tests)
      expect(isNamed, `${version} in ${shown}`).toBe(true)
    }
  }
})

test('the Ruby versions are those that compat/ runs', () => {
  const [stub = ''] = blocks('docs/beside-rails.md', 'ruby')
  const compat = read('compat/rails/app/jobs/node.rb')
  const base = /class Stub[\s\S]*?\n {2}end\n/.exec(stub)?.[0] ?? 'missing'
  expect(compat).toContain(base)
  expect(read('README.md')).toContain('bundle exec good_job start --queues=-node')
  expect(read('compat/rails-app.ts')).toContain(`queues = '-node'`)
})

test('every link of the pages has a target', () => {
  const missing = PAGES.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:)([^)#]+)\)/g)]
      .map(([, path]) => resolve(ROOT, page, '..', path ?? ''))
      .filter((path) => !existsSync(path))
      .map((path) => `${page}: ${path}`),
  )
  expect(missing).toEqual([])
})

test('every dependency has its line in architecture.md', () => {
  const { dependencies, optionalDependencies } = JSON.parse(read('package.json')) as Record<
    string,
    Record<string, string>
  >
  const [, table = ''] = read('docs/architecture.md').split('\n## Dependencies\n')
  const named = [...table.matchAll(/^\| `([^`]+)`/gm)].map(([, name]) => name)
  expect(named.toSorted()).toEqual(Object.keys({ ...dependencies, ...optionalDependencies }).toSorted())
})

test('every folder of src/ has its line in architecture.md', () => {
  const [, layers = ''] = read('docs/architecture.md').split('\n## The layers\n')
  const [table = ''] = layers.split('\n## ')
  const rows = [...table.matchAll(/^\| (`[^|]+`) \|/gm)].map(([, names = '']) => names)
  const named = rows.flatMap((names) => [...names.matchAll(/`(\w+)\/`/g)].map(([, name]) => name))
  const folders = readdirSync(join(ROOT, 'src'), { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expect(named.toSorted()).toEqual(folders.map(({ name }) => name).toSorted())
})
