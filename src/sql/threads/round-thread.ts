// A lane's connection, in a thread: it holds the transaction of a round of deferred starts, and ends it in time even while jobs
// block the event loop of the process.
import pg, { type CustomTypesConfig } from 'pg'
import { after } from '../../time.ts'
import { serverProcess, turnOffTimer } from '../connection/pg-connection.ts'
import type { Statement } from '../connection/queryable.ts'
import { insideThread } from './inside.ts'
import type { ErrorFields, RawResult, RoundRequest } from './messages.ts'

const { data, config, send, receive, close: closePort } = insideThread<'round-thread'>()

/** The requests of one type, with their id. */
type Request<T extends RoundRequest['type']> = { id: number } & Extract<RoundRequest, { type: T }>

// Statements that begin or end a transaction are sent with the others, without waiting for the responses in between.
const client = new pg.Client({ ...config, pipeline: true })
// The main thread has a timer, which knows whether the process was blocked.
turnOffTimer(client)
client.on('error', (error) => send({ type: 'lost', error: plain(error) }))
client.on('end', () => send({ type: 'lost', error: undefined }))

/**
 * The round whose end is not reported yet. 'open': the timer starts its jobs when the time is up · 'unstarted': its transaction was
 * rolled back, and each request to close it tries to start its jobs · 'started': they run like any others.
 */
interface Round {
  state: 'open' | 'unstarted' | 'started'
  readonly start: Statement
  readonly timer: NodeJS.Timeout
  startedIds?: readonly string[]
  error?: ErrorFields
}

let round: Round | undefined

/** Errors of pg lose their fields when they are sent to another thread. */
const plain = (thrown: unknown): ErrorFields => {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown))
  return { ...error, name: error.name, message: error.message }
}

/** Values stay the server's text; the main thread parses them. */
const RAW: CustomTypesConfig = { getTypeParser: () => (value: string) => value }

/** Sends a statement behind those that were sent before. */
const ask = (statement: Statement): Promise<RawResult> => {
  const query: RawQuery = client
  return query.query({ ...statement, rowMode: 'array', types: RAW })
}

/** What pg's client does with statements of this form. */
interface RawQuery {
  query(statement: Statement & { rowMode: 'array'; types: CustomTypesConfig }): Promise<RawResult>
}

/** The part of a result that is sent to the main thread. */
const sendable = ({ fields, rows, rowCount }: RawResult): RawResult => ({
  fields: fields.map(({ name, dataTypeID }) => ({ name, dataTypeID })),
  rows,
  rowCount,
})

const BEGIN_ROUND: Statement = { text: data.begin }
const COMMIT: Statement = { text: 'COMMIT' }
const ROLLBACK: Statement = { text: 'ROLLBACK' }

/** Waits for all of them; throws the first error, which made the others fail. */
const answers = async <const T extends readonly Promise<unknown>[]>(asked: T) => {
  await Promise.allSettled(asked)
  return Promise.all(asked)
}

// One operation at a time on the connection: closing a round and reaching its time limit must not overlap.
let queue = Promise.resolve()
const inTurn = (work: () => Promise<void>): void => {
  queue = queue.then(work, work)
}

/** Whether the last closed round is written. Only the next round may be opened before that is known. */
let closing = Promise.resolve(true)
const afterClose = (work: () => Promise<void>): void =>
  inTurn(async () => {
    await closing
    await work()
  })

/** Locks the candidates; the transaction stays open for at most `limitMs`. */
const open = async ({ id, lock, start, columns, limitMs }: Request<'open'>): Promise<void> => {
  if (round !== undefined) throw unwritten()
  const before = closing
  closing = Promise.resolve(true)
  try {
    const [, result, isWritten] = await answers([ask(BEGIN_ROUND), ask(lock), before])
    if (!isWritten) throw unwritten()
    if (column(result, 'id').length === 0) await ask(COMMIT)
    else {
      const values = [...(start.values ?? []), ...columns.map((name) => column(result, name))]
      const timer = after(limitMs, () => inTurn(startAll))
      round = { state: 'open', start: { ...start, values }, timer }
    }
    send({ type: 'rows', id, result: sendable(result) })
  } catch (error) {
    await ask(ROLLBACK).catch(() => undefined)
    throw error
  }
}

const unwritten = () => new Error('the previous round could not be written')

const column = ({ fields, rows }: RawResult, name: string): string[] => {
  const index = fields.findIndex((field) => field.name === name)
  return rows.flatMap((row) => row[index] ?? [])
}

/**
 * The time is up: the running jobs are started, visible to every session, and their outcomes are written like those of any other
 * attempt.
 */
const startAll = async (): Promise<void> => {
  const open = round
  if (open?.state !== 'open') return
  try {
    await ask(open.start)
    await ask(COMMIT)
    open.state = 'started'
  } catch (error) {
    await ask(ROLLBACK).catch(() => undefined)
    undone(open, error)
  }
}

const undone = (failed: Round, error: unknown): void => {
  failed.state = 'unstarted'
  failed.error = plain(error)
  round = failed
}

/** Nothing of the round was written: its jobs start like any others, unless another session took them since. */
const startAgain = async (unstarted: Round): Promise<void> => {
  unstarted.startedIds = column(await ask(unstarted.start), 'id')
  unstarted.state = 'started'
}

/** Writes and commits, unless the time was up before; the queue of operations does not wait for it. */
const close = async ({ id, statements }: Request<'close'>): Promise<void> => {
  if (round === undefined) throw new Error('no round is open')
  const closed = round
  clearTimeout(closed.timer)
  if (closed.state === 'open') {
    round = undefined
    closing = written(id, closed, [...statements, COMMIT].map(ask))
    return
  }
  if (closed.state === 'unstarted') await startAgain(closed)
  round = undefined
  sendOver(id, closed)
}

const sendOver = (id: number, { startedIds, error }: Round): void =>
  send({ type: 'closed', id, isOver: true, ...(startedIds && { startedIds }), ...(error && { error }) })

const written = async (id: number, closed: Round, asked: readonly Promise<unknown>[]): Promise<boolean> => {
  try {
    await answers(asked)
    send({ type: 'closed', id, isOver: false })
    return true
  } catch (error) {
    // The COMMIT has rolled back everything. The next round, which may have been opened behind it, is rolled back first.
    undone(closed, error)
    await answered({ id }, async () => {
      await answers([ask(ROLLBACK), startAgain(closed)])
      round = undefined
      sendOver(id, closed)
    })
    return false
  }
}

const answered = async ({ id }: { readonly id: number }, work: () => Promise<void>): Promise<void> => {
  try {
    await work()
  } catch (error) {
    send({ type: 'error', id, error: plain(error) })
  }
}

const connect = async ({ id }: Request<'connect'>): Promise<void> => {
  await client.connect()
  send({ type: 'connected', id, processID: serverProcess(client) })
}

const query = async ({ id, statement }: Request<'query'>): Promise<void> =>
  send({ type: 'rows', id, result: sendable(await ask(statement)) })

const end = async (): Promise<void> => {
  await client.end().catch(() => undefined)
  closePort()
}

receive((message) => {
  switch (message.type) {
    case 'connect':
      return inTurn(() => answered(message, () => connect(message)))
    case 'query':
      return afterClose(() => answered(message, () => query(message)))
    case 'open':
      return inTurn(() => answered(message, () => open(message)))
    case 'close':
      return inTurn(() => answered(message, () => close(message)))
    case 'end':
      return afterClose(end)
    default:
      message satisfies never
  }
})
