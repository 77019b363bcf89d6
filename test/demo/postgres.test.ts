import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, cp, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, escapeLiteral } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findPostgres } from '../../src/demo/postgres.ts'
import { findEmbeddedPostgres, runnablePostgres, serverUser } from '../../src/demo/postgres-binaries.ts'
import { createDatabase, databaseName, dropDatabase, withDatabase } from '../../src/demo/postgres-databases.ts'
import { type PostgresServer, startServer } from '../../src/demo/postgres-server.ts'
import { inTurn } from '../support/clean-up.ts'

const isRoot = process.getuid?.() === 0

const evaluate = async (url: string, text: string): Promise<unknown> => {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    const { rows } = await client.query(`SELECT ${text} AS answer`)
    return rows[0]?.answer
  } finally {
    await client.end()
  }
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const untilGone = async (path: string): Promise<void> => {
  const deadline = performance.now() + 10_000
  while (await isThere(path)) {
    if (performance.now() > deadline) throw new Error(`${path} is still there`)
    await sleep(20)
  }
}

test('a given server is used unchanged and left running', async () => {
  const given = await findPostgres({ env: { DATABASE_URL: 'postgres://app@db/app' } })
  expect(given).toMatchObject({ url: 'postgres://app@db/app', kind: 'given' })
  await given.stop()
})

test('TEST_DATABASE_URL wins over DATABASE_URL, and an empty value counts as missing', async () => {
  const both = { TEST_DATABASE_URL: 'postgres://test/', DATABASE_URL: 'postgres://app/' }
  expect((await findPostgres({ env: both })).url).toBe('postgres://test/')
  expect((await findPostgres({ env: { ...both, TEST_DATABASE_URL: '' } })).url).toBe('postgres://app/')
})

describe('an own server', () => {
  let server: PostgresServer
  beforeAll(async () => {
    server = await startServer(findEmbeddedPostgres())
  })
  afterAll(() => server.stop())

  test('listens on the loopback interface only and asks for a password', async () => {
    expect(await evaluate(server.url, `current_setting('listen_addresses')`)).toBe('127.0.0.1')
    const url = new URL(server.url)
    url.password = 'wrong'
    await expect(evaluate(url.href, '1')).rejects.toMatchObject({ code: '28P01' })
  })

  test('accepts connections through its Unix socket, in every URL form that pg supports', async () => {
    const { port, password } = new URL(server.url)
    const directory = server.socketDirectory ?? ''
    const urls = [
      `postgres://postgres:${password}@${encodeURIComponent(directory)}:${port}/postgres`,
      `postgres:///postgres?host=${directory}&port=${port}&user=postgres&password=${password}`,
    ]
    for (const url of urls) {
      const created = await createDatabase(url, { prefix: 'by_socket' })
      expect(await evaluate(created, 'inet_server_addr()')).toBeNull()
      expect(await evaluate(created, 'current_database()')).toBe(databaseName(created))
      await dropDatabase(url, databaseName(created))
    }
  })

  test('accepts a password and a database name full of special characters', async () => {
    const password = `p@ss:w/rd?#%&= é'"\\`
    // pg leaves an encoded /, ? or # in a database name as it is.
    const name = `odd name &%é`
    const admin = new Client({ connectionString: server.url })
    await admin.connect()
    await admin.query(`CREATE ROLE "odd@role" LOGIN CREATEDB PASSWORD ${escapeLiteral(password)}`)
    await admin.query(`CREATE DATABASE "${name}" OWNER "odd@role"`)
    await admin.end()
    const url = withDatabase(
      server.url.replace(/\/\/.*@/, `//${encodeURIComponent('odd@role')}:${encodeURIComponent(password)}@`),
      name,
    )
    expect(databaseName(url)).toBe(name)
    expect(await evaluate(url, `current_user || ' ' || current_database()`)).toBe(`odd@role ${name}`)
    const created = await createDatabase(url, { prefix: 'odd' })
    expect(await evaluate(created, 'current_user')).toBe('odd@role')
    await dropDatabase(url, databaseName(created))
  })

  test('drops a database with an open connection', async () => {
    const url = await createDatabase(server.url, { prefix: 'busy' })
    const client = new Client({ connectionString: url })
    const errors: unknown[] = []
    client.on('error', (error) => errors.push(error))
    await client.connect()
    const ended = new Promise((resolve) => client.once('end', () => resolve(undefined)))
    await dropDatabase(server.url, databaseName(url))
    await ended
    expect(errors[0]).toMatchObject({ code: '57P01' })
  })

  test('ends and removes its folder after stop, however often stop is called', async () => {
    const other = await startServer(findEmbeddedPostgres())
    const directory = dirname(String(await evaluate(other.url, `current_setting('data_directory')`)))
    await Promise.all([other.stop(), other.stop()])
    expect(await isThere(directory)).toBe(false)
    await expect(evaluate(other.url, '1')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  })
})

test.each([
  ['postgres://u:p@h:5433/one?sslmode=disable', 'postgres://u:p@h:5433/two?sslmode=disable'],
  ['postgres://u:p%40%2F@%2Frun%2Fpg/one', 'postgres://u:p%40%2F@%2Frun%2Fpg/two'],
  ['postgres:///one?host=/run/pg', 'postgres:///two?host=/run/pg'],
  ['postgres://h', 'postgres://h/two'],
  ['socket:/run/pg?db=one&encoding=utf8', 'socket:/run/pg?db=two&encoding=utf8'],
  ['/run/pg one', '/run/pg two'],
])('withDatabase changes only the database of %s', (url, changed) => {
  expect(withDatabase(url, 'two')).toBe(changed)
  expect(databaseName(changed)).toBe('two')
})

describe('a server that another process started', () => {
  const home = join(import.meta.dirname, '../../dist/demo')
  const program = `
    const { findEmbeddedPostgres } = await import(${JSON.stringify(join(home, 'postgres-binaries.js'))})
    const { startServer } = await import(${JSON.stringify(join(home, 'postgres-server.js'))})
    const server = await startServer(findEmbeddedPostgres())
    console.log(server.socketDirectory)
    process.stdin.on('data', async (text) => {
      if (String(text) === 'stop') await server.stop()
      if (String(text) === 'throw') throw new Error('on purpose')
      process.exit()
    })`

  const start = async (user: { uid?: number; gid?: number }) => {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      ...user,
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    for await (const directory of createInterface({ input: child.stdout })) return { child, directory }
    throw new Error('the child ended without a server')
  }

  test.each(['stop', 'exit', 'throw'])('ends after "%s"', async (how) => {
    const { child, directory } = await start({})
    expect(await isThere(directory)).toBe(true)
    child.stdin.write(how)
    await once(child, 'exit')
    await untilGone(directory)
  })

  test.each(['SIGINT', 'SIGTERM', 'SIGKILL'] as const)('ends after %s', async (signal) => {
    const { child, directory } = await start({})
    child.kill(signal)
    await once(child, 'exit')
    await untilGone(directory)
  })

  test('can belong to an unprivileged user', async () => {
    const user = isRoot ? await serverUser() : {}
    const { child, directory } = await start(user)
    const { uid } = await stat(directory)
    expect(uid).toBe(user.uid ?? process.getuid?.())
    expect(uid).not.toBe(0)
    child.stdin.write('stop')
    await once(child, 'exit')
    await untilGone(directory)
  })
})

describe('the binaries that npm installs', () => {
  let directory: string
  let native: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'good-job-binaries-'))
    native = join(directory, 'package', 'native')
    await cp(findEmbeddedPostgres(), native, { recursive: true, verbatimSymlinks: true })
    await chmod(directory, 0o755)
  })
  afterAll(
    inTurn(
      () => chmod(native, 0o755),
      () => rm(directory, { recursive: true }),
    ),
  )

  const removeLinks = async () => {
    await chmod(join(native, 'bin', 'postgres'), 0o644)
    for (const entry of await readdir(join(native, 'lib'), { withFileTypes: true })) {
      if (entry.isSymbolicLink()) await rm(join(native, 'lib', entry.name))
    }
  }

  test('get their symbolic links and execute permission if the install script did not run', async () => {
    await removeLinks()
    expect(await runnablePostgres(native, join(directory, 'unused'), await serverUser())).toBe(native)
    expect(await isThere(join(directory, 'unused'))).toBe(false)
  })

  test('are copied if the user of the server cannot use them in place', async () => {
    if (isRoot) await chmod(join(directory, 'package'), 0o700)
    else {
      await removeLinks()
      await chmod(join(native, 'lib'), 0o555)
    }
    const server = await startServer(native)
    const data = String(await evaluate(server.url, `current_setting('data_directory')`))
    const home = dirname(data)
    expect(await isThere(join(home, 'native', 'bin', 'postgres'))).toBe(true)
    await server.stop()
    expect(await isThere(home)).toBe(false)
    if (!isRoot) await chmod(join(native, 'lib'), 0o755)
  })

  test('are named in the error if they do not run at all', async () => {
    await expect(runnablePostgres(join(directory, 'nothing'), join(directory, 'nowhere'), {})).rejects.toThrow(
      /nothing/,
    )
  })
})
