import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { Job, performAllLater } from '../../src/index.ts'
import { runCli } from '../support/cli.ts'
import { FaultyNetwork } from '../support/faults.ts'
import { openWorld } from '../support/harness.ts'
import { createDatabase } from '../support/postgres.ts'
import { runAtTerminal } from '../support/terminal.ts'

const MODULE = join(import.meta.dirname, '../fixtures/jobs/worker-jobs.mjs')

class ReportJob extends Job {
  perform(): void {}
}

const { adapter, database, close } = await openWorld()
afterAll(close)
beforeEach(async () => {
  await adapter.database.pool.query('TRUNCATE good_jobs, good_job_executions')
})

const enqueueReports = async (count: number): Promise<string[]> => {
  const jobs = Array.from({ length: count }, () => new ReportJob())
  await performAllLater(jobs)
  return jobs.map(({ jobId }) => jobId)
}

const discardedIds = async (): Promise<string[]> => {
  const { rows } = await adapter.database.pool.query<{ id: string }>(
    'SELECT id FROM good_jobs WHERE finished_at IS NOT NULL',
  )
  return rows.map(({ id }) => id).toSorted()
}

describe('an action on several jobs that loses its connection in the middle', () => {
  const loseAtThird = async (...more: string[]) => {
    const ids = await enqueueReports(5)
    await using network = await FaultyNetwork.start(database.url)
    const lost = network.loseAnswer('good-job-node', new RegExp(`error_event = 5[^]*${ids[2]}`))
    const result = await runCli(['jobs', 'discard', ...ids, ...more], { env: { DATABASE_URL: network.url } })
    await lost
    return { ids, ...result }
  }

  test('prints what was done, that the rest was not tried, and why, and exits with 1', async () => {
    const { ids, code, stdout, stderr } = await loseAtThird()
    expect(stdout).toBe(`2 jobs discarded.\n  ${ids[0]}\n  ${ids[1]}\n`)
    expect(stderr).toMatch(
      /The remaining jobs were not tried; the job in progress may be done or not\. Run the same command again for the rest\./,
    )
    expect(stderr).toMatch(/error: Connection terminated unexpectedly/)
    expect(code).toBe(1)
    expect(await discardedIds()).toEqual(ids.slice(0, 2).toSorted())
    expect(
      await runCli(['jobs', 'discard', '--class', 'ReportJob', '--yes'], { env: { DATABASE_URL: database.url } }),
    ).toMatchObject({
      code: 0,
      stdout: '3 jobs discarded.\n',
    })
  })

  test('prints the same as JSON with --json', async () => {
    const { ids, code, stdout } = await loseAtThird('--json')
    expect(JSON.parse(stdout)).toEqual({ action: 'discard', done: ids.slice(0, 2), failed: [] })
    expect(code).toBe(1)
  })
})

describe('a mass action in a terminal', () => {
  const discardAll = (answer: string) =>
    runAtTerminal(['jobs', 'discard', '--class', 'ReportJob'], { DATABASE_URL: database.url }, [
      { after: /\[y\/N\] /, type: answer },
    ])

  test.each(['y', 'YES'])('asks, and runs after %s', async (answer) => {
    const ids = await enqueueReports(3)
    const { code, screen } = await discardAll(answer)
    expect(screen).toContain('Discard 3 jobs? [y/N] ')
    expect(screen).toContain('3 jobs discarded.')
    expect(code).toBe(0)
    expect(await discardedIds()).toEqual(ids.toSorted())
  })

  test.each(['n', '', 'yess'])('asks, changes nothing after "%s", and exits with 1', async (answer) => {
    await enqueueReports(2)
    const { code, screen } = await discardAll(answer)
    expect(screen).toContain('Nothing was done.')
    expect(code).toBe(1)
    expect(await discardedIds()).toEqual([])
  })
})

describe('a database that refuses the login or has another schema is reported in one line', () => {
  const asRole = async (rights: string): Promise<{ url: string; drop: () => Promise<void> }> => {
    const role = `cli_${randomBytes(4).toString('hex')}`
    const { pool } = adapter.database
    await pool.query(`CREATE ROLE ${role} LOGIN PASSWORD 'right'`)
    if (rights !== '') await pool.query(`GRANT ${rights} ON ALL TABLES IN SCHEMA public TO ${role}`)
    const url = new URL(database.url)
    url.username = role
    url.password = 'right'
    const drop = async () => void (await pool.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`))
    return { url: url.href, drop }
  }

  const oneLine = (stderr: string): string => {
    expect(stderr.trim().split('\n')).toHaveLength(1)
    return stderr
  }

  test.each(['start', 'jobs list', 'doctor', 'schema check'])('a wrong password: %s', async (command) => {
    const args = [...command.split(' '), ...(command === 'start' ? [MODULE] : [])]
    const role = await asRole('SELECT')
    const url = new URL(role.url)
    url.password = 'wrong'
    const { code, stdout, stderr } = await runCli(args, { env: { DATABASE_URL: url.href } })
    expect(oneLine(stderr)).toMatch(
      /password authentication failed.*\(28P01\)\. Check user and password in DATABASE_URL/,
    )
    expect(stderr).not.toContain('wrong')
    expect(stdout).toBe('')
    expect(code).toBe(1)
    await role.drop()
  })

  test('a role that may only read can list jobs, but not retry, discard or work them', async () => {
    const [id = ''] = await enqueueReports(1)
    const { url, drop } = await asRole('SELECT')
    const run = (...args: string[]) => runCli(args, { env: { DATABASE_URL: url } })
    expect(await run('jobs', 'list')).toMatchObject({ code: 0, stdout: expect.stringContaining(id) })
    for (const args of [
      ['jobs', 'discard', id],
      ['start', MODULE],
    ]) {
      const { code, stderr } = await run(...(args as string[]))
      expect(oneLine(stderr)).toMatch(
        /permission denied.*\(42501\)\. Give the database user SELECT, INSERT, UPDATE and DELETE/,
      )
      expect(code).toBe(1)
    }
    await drop()
  })

  test('the tables of GoodJob 3', async () => {
    const old = await createDatabase()
    await old.pool().query(
      `ALTER TABLE good_jobs DROP COLUMN locked_by_id, DROP COLUMN locked_at, DROP COLUMN lock_type;
       ALTER TABLE good_job_executions DROP COLUMN duration, DROP COLUMN process_id, DROP COLUMN error_backtrace`,
    )
    const run = (...args: string[]) => runCli(args, { env: { DATABASE_URL: old.url } })
    const lacks = /lack .*good_jobs\.locked_by_id.*pending GoodJob migrations/
    const start = await run('start', MODULE)
    expect(oneLine(start.stderr)).toMatch(lacks)
    const check = await run('schema', 'check')
    expect(check.stdout).toMatch(/good_jobs\.locked_by_id/)
    const list = await run('jobs', 'list')
    expect(oneLine(list.stderr)).toMatch(
      /"locked_by_id" does not exist \(42703\)\. Run `good-job schema check` to see what the tables lack/,
    )
    const doctor = await run('doctor')
    expect([start, check, list, doctor].map(({ code }) => code)).toEqual([1, 1, 1, 1])
    await old.drop()
  })

  test('the tables of GoodJob 4 with jobs that GoodJob 3 still writes [GJ-007]', async () => {
    const [id] = await enqueueReports(1)
    await adapter.database.pool.query('UPDATE good_jobs SET is_discrete = false WHERE id = $1', [id])
    const { code, stderr } = await runCli(['start', MODULE], { env: { DATABASE_URL: database.url } })
    expect(oneLine(stderr)).toMatch(/was written by GoodJob 3 \(is_discrete is false\)/)
    expect(code).toBe(1)
  })
})
