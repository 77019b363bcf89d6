// A lane's connection, in a thread: it holds the transaction of a round of deferred starts, and ends it in time also while jobs block
// the event loop of the process. Plain JavaScript, because a thread starts from a file that Node can run, also when the rest
// is run from TypeScript.
import { parentPort, workerData } from 'node:worker_threads'
import pg from 'pg'

/** @typedef {{ text: string, values?: unknown[], name?: string }} Statement */
/** @typedef {{ type: 'query', id: number, statement: Statement }} Query */
/** @typedef {{ type: 'open', id: number, lock: Statement, start: Statement, columns: string[], limitMs: number }} Open */
/** @typedef {{ type: 'close', id: number, statements: Statement[] }} Close */
/** @typedef {{ type: 'connect', id: number } | { type: 'end' } | Query | Open | Close} ToThread */
/** @typedef {{ fields: { name: string, dataTypeID: number }[], rows: unknown[][], rowCount: number | null }} RawResult */

// What begins or ends a transaction goes with its statements, without waiting for the answers in between.
const client = new pg.Client({ ...workerData.config, pipeline: true })
client.on('error', (error) => send({ type: 'lost', error: plain(error) }))
client.on('end', () => send({ type: 'lost', error: undefined }))

/** The open round: what starts its jobs when the time is over, and the timer for it. @type {{ start: Statement, timer: NodeJS.Timeout } | undefined} */
let round

/** @param {object} message */
const send = (message) => parentPort?.postMessage(message)

/** Errors of pg lose their fields on the way to another thread. @param {unknown} thrown */
const plain = (thrown) => {
  const error = /** @type {Error} */ (thrown)
  return { ...error, name: error.name, message: error.message }
}

/** The texts of the server; what they mean is read on the other side. */
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

// One thing at a time on the connection: a round that is over must not meet the answer that would have closed it.
let queue = Promise.resolve()
/** @param {() => Promise<void>} work */
const inTurn = (work) => {
  queue = queue.then(work, work)
}

/** Whether the round that was closed last is written. Only the next one is opened before the answer comes. */
let closing = Promise.resolve(true)
/** @param {() => Promise<void>} work */
const afterClose = (work) =>
  inTurn(async () => {
    await closing
    await work()
  })

/** Locks the candidates; the transaction stays open for at most `limitMs`. @param {Open} message */
const open = async ({ id, lock, start, columns, limitMs }) => {
  const before = closing
  closing = Promise.resolve(true)
  try {
    const [, result, isWritten] = await answers([client.query('BEGIN'), run(lock), before])
    if (!isWritten) throw new Error('the round before could not be written')
    const ids = column(result, 'id')
    if (ids.length === 0) await client.query('COMMIT')
    else {
      const values = [...(start.values ?? []), ...columns.map((name) => column(result, name))]
      round = { start: { ...start, values }, timer: setTimeout(() => inTurn(startAll), limitMs) }
    }
    send({ type: 'result', id, result })
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

/** @param {RawResult} result @param {string} name */
const column = ({ fields, rows }, name) => {
  const index = fields.findIndex((field) => field.name === name)
  return rows.map((row) => row[index]).filter((value) => value !== null)
}

/** The time is over: what runs is started for everybody to see, and its outcome is written as that of any other attempt. */
const startAll = async () => {
  if (round === undefined) return
  const { start } = round
  round = undefined
  try {
    await client.query(start)
    await client.query('COMMIT')
  } catch (error) {
    send({ type: 'lost', error: plain(error) })
    await client.end().catch(() => undefined)
  }
}

/** Writes and commits, unless the time was over before; the turn does not wait for it. @param {Close} message */
const close = ({ id, statements }) => {
  if (round === undefined) return send({ type: 'result', id, isOver: true })
  const { start, timer } = round
  clearTimeout(timer)
  round = undefined
  closing = written(
    id,
    start,
    [...statements, 'COMMIT'].map((statement) => client.query(statement)),
  )
}

/** @param {number} id @param {Statement} start @param {Promise<unknown>[]} asked */
const written = async (id, start, asked) => {
  try {
    await answers(asked)
    send({ type: 'result', id, isOver: false })
    return true
  } catch (error) {
    // Nothing was written, the COMMIT undid it: the jobs start as others do, those that nobody took since. The next round, which may
    // have been opened behind the COMMIT, is undone first.
    await answered({ id }, async () => {
      const [, result] = await answers([client.query('ROLLBACK'), run(start)])
      send({ type: 'result', id, isOver: true, startedIds: column(result, 'id'), error: plain(error) })
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
      return inTurn(async () => close(message))
    case 'end':
      return afterClose(async () => {
        await client.end().catch(() => undefined)
        parentPort?.close()
      })
  }
})
