import pg, { type ClientConfig, type CustomTypesConfig, type QueryResult, type QueryResultRow } from 'pg'
import { ConfigurationError } from '../../errors.ts'
import { type Connection, inTime } from '../connection/connection.ts'
import { answerTimeout, connectionParameters } from '../connection/pg-connection.ts'
import { type QueryableStatement, rowTypes, type Statement } from '../connection/queryable.ts'
import { threadConfig } from '../threads/config.ts'
import type { ErrorFields, RawResult, RoundRequest, RoundResponse, Threads } from '../threads/messages.ts'
import { startThread, type Thread } from '../threads/start.ts'
import { BEGIN } from '../transaction/read-committed.ts'
import { ROUND_COLUMNS } from './statements.ts'

/** How a round ended. */
export interface RoundEnd {
  /** The round was over before its outcomes arrived, or they could not be written. Its jobs were started like any others. */
  readonly isOver: boolean
  /** After a failed write: the jobs that still belong to this process; absent: all jobs of the round. */
  readonly startedIds?: readonly string[]
  /** Why the outcomes could not be written. */
  readonly error?: Error
}

/** The response to a request that the thread could fulfil. */
type ResponseOf<T extends RoundResponse['type']> = Extract<RoundResponse, { type: T }>

interface Waiting {
  settle(response: RoundResponse): void
  reject(error: Error): void
}

/**
 * The objects of a round become garbage in the thread when its result is sent. By default each thread of Node 24 lets 192 MB of
 * such garbage accumulate before collecting it.
 */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 16 }

/** A connection that lives in a thread. The thread ends a round's transaction even while the main event loop is blocked. */
export class RoundConnection implements Connection {
  #processID: number | null = null
  readonly #answerTimeoutMs: number
  readonly #thread: Thread<'round-thread'>
  readonly #waiting = new Map<number, Waiting>()
  #lastId = 0
  #isLost = false
  #onLost: (error: Error | undefined) => void = () => undefined

  /** @throws ConfigurationError for a configuration that `threadConfig` reports as unsendable */
  constructor(config: ClientConfig) {
    this.#answerTimeoutMs = answerTimeout(connectionParameters(config))
    const connection = threadConfig(config)
    if (connection.kind === 'unsendable') throw new ConfigurationError(`deferStart: ${connection.reason}`)
    this.#thread = startThread('round-thread', {
      connection,
      data: { begin: BEGIN },
      onMessage: (message) => this.#receive(message),
      resourceLimits: RESOURCE_LIMITS,
    })
    this.#thread.on('error', (error) => this.#lose(error))
    this.#thread.on('exit', () => this.#lose(undefined))
  }

  get processID(): number | null {
    return this.#processID
  }

  async connect(): Promise<void> {
    const { processID } = await this.#ask({ type: 'connect' }, 'connected')
    this.#processID = processID
  }

  async query<R extends QueryResultRow>({ types, ...statement }: QueryableStatement): Promise<QueryResult<R>> {
    const { result } = await this.#askInTime({ type: 'query', statement }, 'rows')
    return readResult(result, types)
  }

  /**
   * Opens a transaction, sends `lock` in it and returns its rows. Unless the round is closed within `limitMs`, the thread sends
   * `start` with ROUND_COLUMNS of the rows as its last values, and commits. Without rows there is no round.
   */
  async open<R extends QueryResultRow>(lock: Statement, start: Statement, limitMs: number): Promise<R[]> {
    const { result } = await this.#askInTime({ type: 'open', lock, start, columns: ROUND_COLUMNS, limitMs }, 'rows')
    return readResult<R>(result, rowTypes).rows
  }

  /** Writes and commits, unless the round is already over. Rejects if the jobs could not be started either; the next call tries again. */
  async close(statements: readonly Statement[]): Promise<RoundEnd> {
    const { isOver, startedIds, error } = await this.#askInTime({ type: 'close', statements }, 'closed')
    return { isOver, ...(startedIds && { startedIds }), ...(error && { error: withStack(error) }) }
  }

  async end(): Promise<void> {
    if (this.#isLost) return
    const exited = new Promise<void>((resolve) => this.#thread.once('exit', () => resolve()))
    this.#thread.postMessage({ type: 'end' })
    await exited
  }

  drop(): void {
    void this.#thread.terminate()
  }

  onLost(listener: (error: Error | undefined) => void): void {
    this.#onLost = listener
  }

  #askInTime<T extends RoundResponse['type']>(request: RoundRequest, expected: T): Promise<ResponseOf<T>> {
    return inTime(this.#ask(request, expected), this.#answerTimeoutMs)
  }

  #ask<T extends RoundResponse['type']>(request: RoundRequest, expected: T): Promise<ResponseOf<T>> {
    if (this.#isLost) return Promise.reject(new Error('Connection terminated'))
    this.#lastId += 1
    const id = this.#lastId
    this.#thread.ref()
    return new Promise((resolve, reject) => {
      const settle = (response: RoundResponse) => {
        if (isOf(response, expected)) resolve(response)
        else reject(response.type === 'error' ? withStack(response.error) : unexpected(response))
      }
      this.#waiting.set(id, { settle, reject })
      this.#thread.postMessage({ ...request, id })
    })
  }

  #receive(message: Threads['round-thread']['from']): void {
    if (message.type === 'lost') {
      this.#lose(message.error)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    // A lane without work must not keep the process alive.
    if (this.#waiting.size === 0) this.#thread.unref()
    waiting?.settle(message)
  }

  #lose(error: ErrorFields | undefined): void {
    if (this.#isLost) return
    this.#isLost = true
    for (const { reject } of this.#waiting.values())
      reject(error ? withStack(error) : new Error('Connection terminated'))
    this.#waiting.clear()
    this.#onLost(error && withStack(error))
    void this.#thread.terminate()
  }
}

/** Rebuilds an error that arrived as plain fields. */
const withStack = (fields: ErrorFields): Error => Object.assign(new Error(fields.message), fields)

const isOf = <T extends RoundResponse['type']>(response: RoundResponse, type: T): response is ResponseOf<T> =>
  response.type === type

const unexpected = ({ type }: RoundResponse): Error =>
  new Error(`the thread of a lane sent '${type}' to another request`)

const readResult = <R extends QueryResultRow>(raw: RawResult, types: CustomTypesConfig = pg.types): QueryResult<R> => {
  const { fields } = raw
  const parsers = fields.map(({ dataTypeID }) => types.getTypeParser(dataTypeID, 'text') as (text: string) => unknown)
  const rows = raw.rows.map((values) => {
    const row: Record<string, unknown> = {}
    for (const [index, { name }] of fields.entries()) {
      const value = values[index] ?? null
      row[name] = value === null ? null : parsers[index]?.(value)
    }
    return row as R
  })
  return { rows, rowCount: raw.rowCount } as QueryResult<R>
}
