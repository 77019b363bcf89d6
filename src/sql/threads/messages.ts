import type { ClientConfig } from 'pg'
import type { Statement } from '../connection/queryable.ts'

/** The threads, by the name of their file: what each is started with, and the messages to it and from it. */
export interface Threads {
  readonly 'heartbeat-thread': {
    readonly data: HeartbeatData
    readonly to: { type: 'state'; state: string } | { type: 'stop' }
    readonly from: { type: 'beat' } | { type: 'failed'; error: string }
  }
  readonly 'round-thread': {
    readonly data: { readonly begin: string }
    readonly to: ({ id: number } & RoundRequest) | { type: 'end' }
    readonly from: RoundResponse | { type: 'lost'; error: ErrorFields | undefined }
  }
}

export type ThreadName = keyof Threads

/** How a thread connects. It is a part of the data of every thread. */
export interface ThreadConnection {
  readonly config: ClientConfig
  /** The password of each connection is made by a function of the user, in the main thread. */
  readonly asksPassword: boolean
}

/** The request of a thread for the password of a connection. */
export interface PasswordQuestion {
  readonly type: 'password'
  readonly id: number
  readonly connection: PasswordUse
}

/** The parameters of the connection that a password is for. */
export interface PasswordUse {
  readonly user?: string | undefined
  readonly database?: string | undefined
  readonly host?: string | undefined
  readonly port?: number | undefined
}

/** The reply of the main thread: a password, or why there is none. */
export type PasswordAnswer = { type: 'password'; id: number } & ({ password: string } | { error: string })

export interface HeartbeatData {
  readonly begin: string
  /** $1 process id, $2 state */
  readonly statement: string
  readonly processId: string
  readonly state: string
  readonly intervalMs: number
}

/** A request to the thread of a lane. Each gets one response with its id. */
export type RoundRequest =
  | { type: 'connect' }
  | { type: 'query'; statement: Statement }
  | { type: 'open'; lock: Statement; start: Statement; columns: readonly string[]; limitMs: number }
  | { type: 'close'; statements: readonly Statement[] }

export type RoundResponse =
  | { type: 'connected'; id: number; processID: number | null }
  | { type: 'rows'; id: number; result: RawResult }
  | { type: 'closed'; id: number; isOver: boolean; startedIds?: readonly string[]; error?: ErrorFields }
  | { type: 'error'; id: number; error: ErrorFields }

/** A result whose values are still the server's text: the main thread parses them. */
export interface RawResult {
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[]
  readonly rows: readonly (readonly (string | null)[])[]
  readonly rowCount: number | null
}

/** An error as it is sent: a copy by `postMessage` would lose its fields. */
export interface ErrorFields {
  readonly name: string
  readonly message: string
}
