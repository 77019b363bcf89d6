import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { inTurn } from '../support/clean-up.ts'
import { Cli, runCli } from '../support/cli.ts'
import { freePort } from '../support/loopback.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/jobs')
const MODULE = join(FIXTURES, 'worker-jobs.mjs')

let database: TestDatabase
let empty: TestDatabase

beforeAll(async () => {
  database = await createDatabase()
  empty = await createDatabase({ template: 'empty' })
})
afterAll(
  inTurn(
    () => database.drop(),
    () => empty.drop(),
  ),
)

const start = (args: readonly string[], env: NodeJS.ProcessEnv = { DATABASE_URL: database.url }) =>
  runCli(['start', ...args], { env, cwd: FIXTURES })

describe('wrong usage exits with 2 and prints the value and the correction', () => {
  test.each<[string, string[], RegExp]>([
    ['an unknown option', ['--thread', '3', MODULE], /unknown option '--thread'\n\(Did you mean --threads\?\)/],
    [
      'an option that is no number',
      ['--poll-interval', 'soon', MODULE],
      /--poll-interval: expected a number, got "soon"/,
    ],
    [
      'an option out of its range',
      ['--threads', '0', MODULE],
      /--threads: expected a whole number of at least 1, got "0"/,
    ],
    [
      'a bad queue string',
      ['--queues', 'high:x', MODULE],
      /expected a whole number of at least 1 after ":", got "x" in "high:x"/,
    ],
    [
      'a word that is not allowed',
      ['--rails-version', '7.3', MODULE],
      /--rails-version: expected 6\.1, 7\.0.*got "7\.3"/,
    ],
    [
      'the option of another library',
      ['--concurrency', '5', MODULE],
      /--concurrency is a list of rules.*the number of jobs at the same time is --threads/,
    ],
    ['another one, without a value', ['--connection-string', MODULE], /--connection-string.*--database-url/],
    [
      'a URL with several hosts',
      ['--database-url', 'postgres://a:1,b:2/app', MODULE],
      /names several hosts.*; name one host, for example the proxy in front of them$/m,
    ],
    [
      'a URL with both "schema" and "options"',
      ['--database-url', 'postgres://a/app?schema=b&options=-c%20search_path=c', MODULE],
      /has both "schema" and "options"\); name the search_path in "options"$/m,
    ],
    [
      'a URL of another kind',
      ['--database-url', 'mysql://db/app', MODULE],
      /does not start with postgres:\/\/\); write postgres:\/\/user@host\/name$/m,
    ],
    [
      'a password that is not percent-encoded',
      ['--database-url', 'postgres://user:pa#ss@host:port/app', MODULE],
      /not a Postgres URL.*must be percent-encoded$/m,
    ],
    ['an unknown log level', ['--log-level', 'loud', MODULE], /--log-level.*'loud' is invalid.*trace/],
    ['no module', [], /missing required argument 'module'/],
  ])('%s', async (_what, args, text) => {
    const { code, stdout, stderr } = await start(args)
    expect(stderr).toMatch(text)
    expect(stderr).not.toMatch(/\n\s+at /)
    expect(stdout).toBe('')
    expect(code).toBe(2)
  })

  test('a bad value in the environment', async () => {
    const { code, stderr } = await start([MODULE], { DATABASE_URL: database.url, GOOD_JOB_POLL_INTERVAL: 'x' })
    expect(stderr).toContain('GOOD_JOB_POLL_INTERVAL: expected a number, got "x"')
    expect(code).toBe(2)
  })

  test('no database', async () => {
    const { code, stderr } = await start([MODULE], {})
    expect(stderr).toContain('no database: set DATABASE_URL')
    expect(code).toBe(2)
  })

  test('an unknown command', async () => {
    const { code, stderr } = await runCli(['strat'])
    expect(stderr).toMatch(/unknown command 'strat'\n\(Did you mean start\?\)/)
    expect(code).toBe(2)
  })
})

describe('modules without usable job classes exit with 1 and print the file and the name', () => {
  test.each<[string, string[], RegExp]>([
    ['a file that is not there', ['./nope.mjs'], /\.\/nope\.mjs does not load: there is no such file or package/],
    ['a module that throws', ['./broken.mjs'], /\.\/broken\.mjs does not load: TypeError: this module is broken/],
    ['a folder', ['.'], /\. does not load: it is a folder; name its files/],
    ['no job class', ['./no-jobs.mjs'], /\.\/no-jobs\.mjs exports no job class with a perform method/],
    ['a package without jobs', ['pg'], /pg exports no job class: export classes that extend Job/],
    [
      'two classes with one name',
      ['./worker-jobs.mjs', './same-name.mjs'],
      /two classes have the name "SlowJob": SlowJob of \.\/worker-jobs\.mjs and AnotherJob of \.\/same-name\.mjs/,
    ],
  ])('%s', async (_what, modules, text) => {
    const { code, stderr } = await start(modules)
    expect(stderr).toMatch(text)
    expect(code).toBe(1)
  })

  test('--verbose prints the stack of the error', async () => {
    const { stderr } = await start(['./broken.mjs', '--verbose'])
    expect(stderr).toMatch(/caused by TypeError: this module is broken\n\s+at .*broken\.mjs/)
  })

  test('the same module given twice is loaded once', async () => {
    const { code, stdout } = await start([MODULE, './worker-jobs.mjs', '--idle-timeout', '0'])
    expect(stdout).toContain('5 job classes')
    expect(code).toBe(0)
  })
})

describe('an unusable database exits with 1', () => {
  test('without tables', async () => {
    const { code, stderr } = await start([MODULE], { DATABASE_URL: empty.url })
    expect(stderr).toMatch(/has no GoodJob tables.*good-job schema install.*bin\/rails g good_job:install/)
    expect(code).toBe(1)
  })

  test('with a column missing', async () => {
    const old = await createDatabase()
    await old.pool().query('ALTER TABLE good_jobs DROP COLUMN labels')
    const { code, stderr } = await start([MODULE], { DATABASE_URL: old.url })
    expect(stderr).toMatch(/lack good_jobs\.labels.*pending GoodJob migrations/)
    expect(code).toBe(1)
    await old.drop()
  })

  test('that does not exist', async () => {
    const url = new URL(database.url)
    url.pathname = '/no_such_database'
    const { code, stderr } = await start([MODULE], { DATABASE_URL: url.href })
    expect(stderr).toMatch(/database "no_such_database" does not exist \(3D000\)\. Create it/)
    expect(code).toBe(1)
  })

  test('that does not answer: each attempt is logged, and the command ends after --connect-timeout', async () => {
    const { code, stdout, stderr } = await start([MODULE, '--connect-timeout', '0.5'], await refusing())
    expect(stderr.match(/Postgres does not respond; trying again/g)?.length).toBeGreaterThan(1)
    expect(stderr).toMatch(
      /error: Postgres did not answer within 0\.5 s: connect ECONNREFUSED.*Start it, or check DATABASE_URL/,
    )
    expect(stdout).toBe('')
    expect(code).toBe(1)
  })

  test('whose host does not resolve: the error calls the name unknown', async () => {
    const env = { DATABASE_URL: 'postgres://user@no-such-host.invalid/app' }
    const { code, stderr } = await start([MODULE, '--connect-timeout', '0.5'], env)
    expect(stderr).toMatch(
      /within 0\.5 s: .*no-such-host\.invalid\. The name of the host cannot be resolved: check it in/,
    )
    expect(stderr).not.toContain('Start it')
    expect(code).toBe(1)
  })

  test('a signal ends the wait for the database', async () => {
    await using worker = new Cli(['start', MODULE], { env: await refusing() })
    await worker.says(/trying again/)
    worker.signal('SIGTERM')
    expect((await worker.ended()).code).toBe(0)
  })
})

/** The URL of a closed port. */
const refusing = async (): Promise<NodeJS.ProcessEnv> => ({
  DATABASE_URL: `postgres://nobody@127.0.0.1:${await freePort()}/none`,
})
