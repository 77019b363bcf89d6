import pg, { type ClientConfig, type QueryResult, type QueryResultRow } from 'pg'
import { type Connection, inTime } from './connection.ts'
import type { Queryable, QueryableStatement } from './queryable.ts'

/** The fields of a client that pg's types leave out. */
interface UntypedFields {
  readonly processID: number | null
  readonly connectionParameters: ConnectionParameters
}

interface ConnectionParameters {
  query_timeout?: string | number | false
}

const untyped = (client: pg.Client): UntypedFields => client as pg.Client & UntypedFields

/** The parameters of a connection as pg reads them: the URL overrides the options. @throws for a URL that pg cannot parse */
export const connectionParameters = (config: ClientConfig): Readonly<ConnectionParameters> =>
  untyped(new pg.Client(config)).connectionParameters

/** The query timeout of these parameters, milliseconds; Infinity: none. */
export const answerTimeout = ({ query_timeout }: Readonly<ConnectionParameters>): number => {
  const limitMs = Number(query_timeout)
  return limitMs > 0 ? limitMs : Number.POSITIVE_INFINITY
}

/** The server process, as the server reports it at the start; null before the client is connected. */
export const serverProcess = (client: pg.Client): number | null => untyped(client).processID

/** Turns off pg's own timer: after a blocked event loop it fires before a response that has already arrived is read. */
export const turnOffTimer = (client: pg.Client): void => {
  untyped(client).connectionParameters.query_timeout = false
}

/** A connection by a client of pg in this thread. */
export class PgConnection implements Connection {
  readonly #client: pg.Client
  readonly #db: Queryable
  readonly #answerTimeoutMs: number

  /** `client`: not connected yet. */
  constructor(client: pg.Client) {
    this.#client = client
    this.#db = client
    this.#answerTimeoutMs = answerTimeout(untyped(client).connectionParameters)
    turnOffTimer(client)
    // Without a listener Node would exit. The next statement reports the loss.
    client.on('error', () => undefined)
  }

  get processID(): number | null {
    return serverProcess(this.#client)
  }

  async connect(): Promise<void> {
    await this.#client.connect()
  }

  query<R extends QueryResultRow>(statement: QueryableStatement): Promise<QueryResult<R>> {
    return inTime(this.#db.query<R>(statement), this.#answerTimeoutMs)
  }

  end(): Promise<void> {
    return this.#client.end()
  }

  drop(): void {
    this.#client.connection.stream.destroy()
  }

  onLost(listener: (error: Error | undefined) => void): void {
    this.#client.on('error', listener)
    this.#client.on('end', () => listener(undefined))
  }
}

/** Creates a connection of pg; it is not open yet. */
export const pgConnection = (config: ClientConfig): PgConnection => new PgConnection(new pg.Client(config))
