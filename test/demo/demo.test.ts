import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { Cli, runCli } from '../support/cli.ts'
import { serverUrl } from '../support/postgres.ts'

const leftFolders = async (): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith('good-job-demo-'))

const leftDatabases = async (): Promise<number> => {
  const client = new Client({ connectionString: serverUrl() })
  await client.connect()
  const { rowCount } = await client.query(`SELECT FROM pg_database WHERE datname LIKE 'good\\_job\\_demo\\_%'`)
  await client.end()
  return rowCount ?? 0
}

test('the demo shows the batch that comes back, ends by itself and leaves nothing behind', {
  timeout: 60_000,
}, async () => {
  const { code, stdout, stderr } = await runCli(['demo'], { env: { DATABASE_URL: serverUrl() } })
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(
    /1\. A batch that comes back[\s\S]*→ {2}batch discarded[\s\S]*did not come[\s\S]*→ {2}batch succeeded/,
  )
  expect(stdout).toMatch(/HopelessJob attempt 3: discarded for good/)
  expect(stdout).toMatch(/FlakyJob\s+attempt 3: succeeded/)
  expect(stdout).toMatch(/ReminderJob attempt 1: succeeded/)
  expect(stdout).toMatch(/ChecksumJob\s+68\s+68\s+0\s+69/)
  expect(stdout).toMatch(/Shut down, nothing left behind\./)
  expect(await leftFolders()).toEqual([])
  expect(await leftDatabases()).toBe(0)
})

test('--keep runs on until Ctrl-C, and the printed URL leads to what it did', { timeout: 60_000 }, async () => {
  await using demo = new Cli(['demo', '--keep'], { env: { DATABASE_URL: serverUrl() } })
  const [, url = ''] = await demo.says(/export DATABASE_URL=(\S+)\n[\s\S]*good-job doctor/)
  const { stdout } = await runCli(['batches', 'list'], { env: { DATABASE_URL: url } })
  expect(stdout).toMatch(/succeeded.*8 succeeded\s+tonight's delivery/)
  demo.signal('SIGINT')
  expect((await demo.ended()).code).toBe(0)
  expect(await leftFolders()).toEqual([])
  expect(await leftDatabases()).toBe(0)
})

test('Ctrl-C in the middle cleans up too', { timeout: 60_000 }, async () => {
  await using demo = new Cli(['demo'], { env: { DATABASE_URL: serverUrl() } })
  await demo.says(/Everyday work/)
  demo.signal('SIGINT')
  expect((await demo.ended()).code).toBe(1)
  expect(await leftFolders()).toEqual([])
  expect(await leftDatabases()).toBe(0)
})
