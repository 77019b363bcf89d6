// A lane's connection, in a thread: it holds the transaction of a round of deferred starts, and ends it in time even while jobs
// block the event loop of the process. Plain JavaScript, because a thread starts from a file that Node can run, even when the rest
// is run from TypeScript.
import { parentPort, workerData } from 'node:worker_threads'
import pg from 'pg'
import { isPasswordAnswer, withPassword } from './password.js'

/** @typedef {{ text: string, values?: unknown[], name?: string }} Statement */
/** @typedef {{ type: 'query', id: number, statement: Statement }} Query */
/** @typedef {{ type: 'open', id: number, lock: Statement, start: Statement, columns: string[], limitMs: number }} Open */
/** @typedef {{ type: 'close', id: number, statements: Statement[] }} Close */
/** @typedef {{ type: 'connect', id: number } | { type: 'end' } | Query | Open | Close} ToThread */
/** @typedef {{ fields: { name: string, dataTypeID: number }[], rows: unknown[][], rowCount: number | null }} RawResult */

// Statements that begin or end a transaction are sent with the others, without waiting for the responses in between.
const client = new pg.Client(/** @type {import('pg').ClientConfig} */ ({ ...withPassword(workerData), pipeline: true }))
// The main thread has a timer, which knows whether the process was blocked.
const { connectionParameters } = /** @type {{ connectionParameters: { query_timeout: number | false } }} */ (
  /** @type {unknown} */ (client)
)
connectionParameters.query_timeout = false
client.on('error', (error) => send({ type: 'lost', error: plain(error) }))
client.on('end', () => send({ type: 'lost', error: undefined }))

/**
 * The round whose end is not reported yet. 'open': the timer starts its jobs when the time is up · 'unstarted': its transaction was
 * rolled back, and each request to close it tries to start its jobs · 'started': they run like any others.
 * @typedef {{ state: 'open' | 'unstarted' | 'started', start: Statement, timer: NodeJS.Timeout | undefined, startedIds?: unknown[], error?: object }} Round
 */
/** @type {Round | undefined} */
let round

/** @param {object} message */
const send = (message) => parentPort?.postMessage(message)

/** As in time.ts: Node's timers hold at most this; anything longer becomes 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Errors of pg lose their fields when they are sent to another thread. @param {unknown} thrown */
const plain = (thrown) => {
  const error = /** @type {Error} */ (thrown)
  return { ...error, name: error.name, message: error.message }
}

/** Values stay the server's text; the main thread parses them. */
const RAW = { getTypeParser: () => (/** @type {unknown} */ value) => value }

/** @param {Statement} statement @returns {Promise<RawResult>} */
const run = async (statement) => {
  const result = await client.query(
    /** @type {pg.QueryArrayConfig} */ (/** @type {unknown} */ ({ ...statement, rowMode: 'array', types: RAW })),
  )
  const { rows, rowCount } = result
  return { fields: result.fields?.map(({ name, dataTypeID }) => ({ name, dataTypeID })) ?? [], rows, rowCount }
}

/**
 * Waits for all of them; throws the first error, which made the others fail.
 * @template {readonly Promise<unknown>[]} T @param {T} asked @returns {Promise<{ [K in keyof T]: Awaited<T[K]> }>}
 */
const answers = async (asked) => {
  await Promise.allSettled(asked)
  return Promise.all(asked)
}

// One operation at a time on the connection: closing a round and reaching its time limit must not overlap.
let queue = Promise.resolve()
/** @param {() => Promise<void>} work */
const inTurn = (work) => {
  queue = queue.then(work, work)
}

/** Whether the last closed round is written. Only the next round may be opened before that is known. */
let closing = Promise.resolve(true)
/** @param {() => Promise<void>} work */
const afterClose = (work) =>
  inTurn(async () => {
    await closing
    await work()
  })

/** Locks the candidates; the transaction stays open for at most `limitMs`. @param {Open} message */
const open = async ({ id, lock, start, columns, limitMs }) => {
  if (round !== undefined) throw unwritten()
  const before = closing
  closing = Promise.resolve(true)
  try {
    const [, result, isWritten] = await answers([client.query(workerData.begin), run(lock), before])
    if (!isWritten) throw unwritten()
    const ids = column(result, 'id')
    if (ids.length === 0) await client.query('COMMIT')
    else {
      const values = [...(start.values ?? []), ...columns.map((name) => column(result, name))]
      const timer = setTimeout(() => inTurn(startAll), Math.min(limitMs, MAX_TIMER_MS))
      round = { state: 'open', start: { ...start, values }, timer }
    }
    send({ type: 'result', id, result })
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

const unwritten = () => new Error('the previous round could not be written')

/** @param {RawResult} result @param {string} name */
const column = ({ fields, rows }, name) => {
  const index = fields.findIndex((field) => field.name === name)
  return rows.map((row) => row[index]).filter((value) => value !== null)
}

/**
 * The time is up: the running jobs are started, visible to every session, and their outcomes are written like those of any other
 * attempt.
 */
const startAll = async () => {
  const open = round
  if (open?.state !== 'open') return
  try {
    await client.query(open.start)
    await client.query('COMMIT')
    open.state = 'started'
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    undone(open, error)
  }
}

/** @param {Round} failed @param {unknown} error */
const undone = (failed, error) => {
  failed.state = 'unstarted'
  failed.error = plain(error)
  round = failed
}

/** Nothing of the round was written: its jobs start like any others, unless another session took them since. @param {Round} unstarted */
const startAgain = async (unstarted) => {
  unstarted.startedIds = column(await run(unstarted.start), 'id')
  unstarted.state = 'started'
}

/** Writes and commits, unless the time was up before; the queue of operations does not wait for it. @param {Close} message */
const close = async ({ id, statements }) => {
  if (round === undefined) throw new Error('no round is open')
  const closed = round
  clearTimeout(closed.timer)
  if (closed.state === 'open') {
    round = undefined
    const asked = [...statements, 'COMMIT'].map((statement) => client.query(statement))
    closing = written(id, closed, asked)
    return
  }
  if (closed.state === 'unstarted') await startAgain(closed)
  round = undefined
  sendOver(id, closed)
}

/** @param {number} id @param {Round} round */
const sendOver = (id, { startedIds, error }) => send({ type: 'result', id, isOver: true, startedIds, error })

/** @param {number} id @param {Round} closed @param {Promise<unknown>[]} asked */
const written = async (id, closed, asked) => {
  try {
    await answers(asked)
    send({ type: 'result', id, isOver: false })
    return true
  } catch (error) {
    // The COMMIT has rolled back everything. The next round, which may have been opened behind it, is rolled back first.
    undone(closed, error)
    await answered({ id }, async () => {
      await answers([client.query('ROLLBACK'), startAgain(closed)])
      round = undefined
      sendOver(id, closed)
    })
    return false
  }
}

/** @param {{ id: number }} message @param {() => Promise<void>} work */
const answered = async ({ id }, work) => {
  try {
    await work()
  } catch (error) {
    send({ type: 'error', id, error: plain(error) })
  }
}

parentPort?.on('message', (/** @type {ToThread} */ message) => {
  if (isPasswordAnswer(message)) return
  switch (message.type) {
    case 'connect':
      return inTurn(() =>
        answered(message, async () => {
          await client.connect()
          const { processID } = /** @type {{ processID?: number }} */ (/** @type {unknown} */ (client))
          send({ type: 'result', id: message.id, processID })
        }),
      )
    case 'query':
      return afterClose(() =>
        answered(message, async () => send({ type: 'result', id: message.id, result: await run(message.statement) })),
      )
    case 'open':
      return inTurn(() => answered(message, () => open(message)))
    case 'close':
      return inTurn(() => answered(message, () => close(message)))
    case 'end':
      return afterClose(async () => {
        await client.end().catch(() => undefined)
        parentPort?.close()
      })
  }
})
