import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Cli, runCli } from '../support/cli.ts'
import { serverUrl } from '../support/postgres.ts'

/** The folder for the files of these demos; other demos may run at the same time. */
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'good-job-demo-test-'))
})
afterAll(() => rm(folder, { recursive: true }))

const environment = () => ({ DATABASE_URL: serverUrl(), TMPDIR: folder })
const leftFolders = (): Promise<string[]> => readdir(folder)

const leftDatabases = async (): Promise<number> => {
  const client = new Client({ connectionString: serverUrl() })
  await client.connect()
  const { rowCount } = await client.query(`SELECT FROM pg_database WHERE datname LIKE 'good\\_job\\_demo\\_%'`)
  await client.end()
  return rowCount ?? 0
}

test('the demo shows the batch that recovers, ends by itself, leaves nothing behind, and prints what the README shows', {
  timeout: 60_000,
}, async () => {
  const { code, stdout, stderr } = await runCli(['demo'], { env: environment() })
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /1\. A batch that comes back[\s\S]*→ {2}batch discarded[\s\S]*did not come[\s\S]*→ {2}batch succeeded/,
  )
  expect(stdout).toMatch(/HopelessJob attempt 3: discarded for good/)
  expect(stdout).toMatch(/FlakyJob\s+attempt 3: succeeded/)
  expect(stdout).toMatch(/ReminderJob attempt 1: succeeded/)
  expect(stdout).toMatch(/ChecksumJob\s+68\s+68\s+0\s+69/)
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8')
  const excerpt = /^```text\n(1\. A batch[\s\S]*?)\n```$/m.exec(readme)?.[1]?.split('\n') ?? ['missing']
  const printed = stdout.split('\n')
  expect(excerpt.filter((line) => !printed.includes(line))).toEqual([])
  expect(stdout).toMatch(/Shut down, nothing left behind\./)
  expect(await leftFolders()).toEqual([])
  expect(await leftDatabases()).toBe(0)
})

test('--keep runs until Ctrl-C, and the printed URL opens the database of the demo', { timeout: 60_000 }, async () => {
  await using demo = new Cli(['demo', '--keep'], { env: environment() })
  const [, url = ''] = await demo.says(/export DATABASE_URL=(\S+)\n[\s\S]*good-job doctor/)
  const { stdout } = await runCli(['batches', 'list'], { env: { DATABASE_URL: url } })
  expect(stdout).toMatch(/succeeded.*8 succeeded\s+tonight's delivery/)
  demo.signal('SIGINT')
  expect((await demo.ended()).code).toBe(0)
  expect(await leftFolders()).toEqual([])
  expect(await leftDatabases()).toBe(0)
})

test('Ctrl-C in the middle of the demo cleans up, too', { timeout: 60_000 }, async () => {
  await using demo = new Cli(['demo'], { env: environment() })
  await demo.says(/Everyday work/)
  demo.signal('SIGINT')
  expect((await demo.ended()).code).toBe(1)
  expect(await leftFolders()).toEqual([])
  expect(await leftDatabases()).toBe(0)
})
