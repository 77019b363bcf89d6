import { expect, onTestFinished, test } from 'vitest'
import { pgConnection } from '../../src/sql/connection/pg-connection.ts'
import { Session } from '../../src/sql/connection/session.ts'
import { startOwnServer } from '../support/own-server.ts'

const KEY = '4711'

test('a session waits while the previous backend holds its locks, and terminates that backend as soon as it can', async () => {
  const { database } = await startOwnServer()
  onTestFinished(() => database.drop())
  const config = { connectionString: database.url, application_name: 'GoodJob::Lane' }
  const session = new Session({ config, createConnection: pgConnection, settings: {} })
  await session.connect()
  const { rows } = await session.query<{ pid: number }>({
    text: `SELECT pg_backend_pid() AS pid FROM pg_advisory_lock(${KEY})`,
  })
  const pid = rows[0]?.pid ?? 0
  expect(pid).toBeGreaterThan(0)
  process.kill(pid, 'SIGSTOP')
  try {
    session.abandon(new Error('no answer'), session.end)
    await expect(session.connect()).rejects.toMatchObject({ code: 'ETIMEDOUT' })
    await expect(session.connect()).rejects.toThrow(`server process ${pid} of the previous connection`)
    expect(session.isConnected).toBe(false)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await session.connectUntil(new AbortController().signal, () => {})
  const taken = await session.query({ text: `SELECT pg_try_advisory_lock(${KEY}) AS is_taken` })
  expect(taken.rows).toEqual([{ is_taken: true }])
  await session.close()
})
