import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Adapter, Job } from '../../src/index.ts'
import { inTurn } from '../support/clean-up.ts'
import { runCli } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'

class MailJob extends Job {
  perform(): void {}
}

let database: TestDatabase
const folder = mkdtempSync(join(tmpdir(), 'good-job-tls-'))
beforeAll(async () => {
  database = await createDatabase()
})
afterAll(
  inTurn(
    async () => rmSync(folder, { recursive: true }),
    () => database.drop(),
  ),
)

const list = (env: NodeJS.ProcessEnv) => runCli(['jobs', 'list'], { env })

test('a host name that does not resolve is reported as such', async () => {
  const { code, stderr } = await list({ DATABASE_URL: 'postgres://no-such-host.invalid/app' })
  expect(stderr).toMatch(/no-such-host\.invalid\. The name of the host cannot be resolved: check it in DATABASE_URL/)
  expect(code).toBe(1)
})

/** A server that uses TLS with a self-signed certificate. */
const answerWithTls = (socket: Socket): void => {
  socket.on('error', () => {})
  socket.once('data', () => {
    socket.write('S')
    const secureContext = createSecureContext({
      key: readFileSync(join(folder, 'key.pem')),
      cert: readFileSync(join(folder, 'cert.pem')),
    })
    new TLSSocket(socket, { isServer: true, secureContext }).on('error', () => {})
  })
}

test.each(['require', 'verify-full'])(
  'sslmode=%s and a self-signed certificate: the error names the setting for its authority',
  async (mode) => {
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-days', '1', '-newkey', 'rsa:2048', '-nodes']
    execFileSync('openssl', ['req', '-x509', ...subject, ...files], { stdio: 'ignore' })
    const server = createServer(answerWithTls).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const { code, stderr } = await list({ DATABASE_URL: `postgres://user@localhost:${port}/app?sslmode=${mode}` })
    expect(stderr).toMatch(/self-signed certificate\. Name the authority that signed it: sslrootcert=/)
    expect(code).toBe(1)
    server.close()
  },
)

test('"postgres://" alone uses PGHOST and the like; without any URL the message says so', async () => {
  const { hostname, port, username, password, pathname } = new URL(database.url)
  const env = {
    PGHOST: hostname || '127.0.0.1',
    PGPORT: port,
    PGUSER: username,
    PGPASSWORD: decodeURIComponent(password),
    PGDATABASE: pathname.slice(1),
  }
  expect(await list({ ...env, DATABASE_URL: 'postgres://' })).toMatchObject({ code: 0, stdout: 'No jobs.\n' })
  const { code, stderr } = await list(env)
  expect(stderr).toContain('"postgres://" alone uses PGHOST, PGDATABASE and the like')
  expect(code).toBe(2)
})

test('jobs discard --force is refused with a suggestion of jobs force-discard', async () => {
  const { code, stderr } = await runCli(['jobs', 'discard', '--force'], { env: { DATABASE_URL: database.url } })
  expect(stderr).toContain('unknown option --force. Did you mean good-job jobs force-discard?')
  expect(code).toBe(2)
})

test('a job that its worker abandoned is listed and shown as waiting, not as running', async () => {
  const adapter = new Adapter({ databaseUrl: database.url })
  Job.queueAdapter = adapter
  const job = await MailJob.performLater()
  const id = job ? job.jobId : ''
  await database.pool().query('UPDATE good_jobs SET performed_at = now() WHERE id = $1', [id])
  const run = (...args: string[]) => runCli(['jobs', ...args], { env: { DATABASE_URL: database.url } })
  expect((await run('list')).stdout).toMatch(new RegExp(`${id} .*waiting \\(interrupted\\)`))
  expect((await run('show', id)).stdout).toMatch(/state\s+waiting \(interrupted\)/)
  await adapter.close()
})
