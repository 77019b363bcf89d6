import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Progress } from '../../src/cli/progress.ts'
import { Cli } from '../support/cli.ts'
import { createDatabase, type TestDatabase } from '../support/postgres.ts'

let database: TestDatabase
beforeAll(async () => {
  database = await createDatabase()
})
afterAll(() => database.drop())

test('the first progress line is printed after two seconds, and the next ones every ten seconds', () => {
  vi.useFakeTimers({ toFake: ['performance', 'setInterval', 'clearInterval'] })
  const lines: string[] = []
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text))
    return true
  })
  try {
    const progress = new Progress()
    vi.advanceTimersByTime(1_900)
    expect(lines).toEqual([])
    vi.advanceTimersByTime(23_100)
    progress.end()
    expect(lines).toEqual([2, 12, 22].map((seconds) => `Waiting for Postgres … ${seconds} s\n`))
  } finally {
    write.mockRestore()
    vi.useRealTimers()
  }
})

// All at the same time, as each of them waits.
test.concurrent.each([
  ['jobs list', 'good_jobs', /^No jobs\.\n$/],
  ['batches list', 'good_job_batches', /^No batches\.\n$/],
  ['cleanup_preserved_jobs', 'good_jobs', /^Deleted 0 jobs, 0 executions, 0 batches\.\n$/],
  ['doctor', 'good_job_processes', /All is well|problem/],
])(
  '%s that waits for a lock for more than two seconds prints that, and its result stays clean',
  async (command, table, answer) => {
    const holder = await database.connect()
    await holder.query('BEGIN')
    await holder.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
    await using cli = new Cli(command.split(' '), { env: { DATABASE_URL: database.url } })
    await cli.says(/^Waiting for Postgres … \d+ s$/m)
    await holder.query('ROLLBACK')
    const { stdout, stderr } = await cli.ended()
    expect({ stdout, stderr }).toMatchObject({ stdout: expect.stringMatching(answer) })
    // Two commands lock the same table: one that has waited for a lock may wait for the next, and print what was done before.
    expect(stderr).toMatch(/^((Waiting for Postgres|0 jobs deleted) … \d+ s\n)+$/)
  },
)
