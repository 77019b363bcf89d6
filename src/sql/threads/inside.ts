import { parentPort, workerData } from 'node:worker_threads'
import type { ClientConfig } from 'pg'
import type {
  PasswordAnswer,
  PasswordQuestion,
  PasswordUse,
  ThreadConnection,
  ThreadName,
  Threads,
} from './messages.ts'

/** The side of a thread of what `startThread` starts. */
export interface Inside<N extends ThreadName> {
  readonly data: Threads[N]['data']
  /** The configuration of its connections. */
  readonly config: ClientConfig
  send(message: Threads[N]['from']): void
  /** Calls `work` with each message, from now on. */
  receive(work: (message: Threads[N]['to']) => void): void
  /** Receives no more messages: the thread ends when its work does. */
  close(): void
}

/** Called by the file of a thread, with the name of that file as the type. */
export const insideThread = <N extends ThreadName>(): Inside<N> => {
  const data: Threads[N]['data'] & ThreadConnection = workerData
  return {
    data,
    config: withPassword(data),
    send: (message) => parentPort?.postMessage(message),
    receive: (work) =>
      parentPort?.on('message', (message: Threads[N]['to'] | PasswordAnswer) => {
        if (!takePassword(message)) work(message)
      }),
    close: () => parentPort?.close(),
  }
}

const waiting = new Map<number, (answer: PasswordAnswer) => void>()
let lastId = 0

/**
 * The password of a connection, if a function of the user creates it (a token that is valid for minutes). Functions cannot be sent
 * to a thread, so each new connection asks the main thread.
 */
const askPassword = ({ user, database, host, port }: PasswordUse = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    lastId += 1
    waiting.set(lastId, (answer) => {
      if ('error' in answer) reject(new Error(answer.error))
      else resolve(answer.password)
    })
    const connection = { user, database, host, port }
    parentPort?.postMessage({ type: 'password', id: lastId, connection } satisfies PasswordQuestion)
  })

const withPassword = ({ config, asksPassword }: ThreadConnection): ClientConfig =>
  asksPassword ? { ...config, password: askPassword } : config

/** Takes the reply of the main thread; false if the message is something else. */
const takePassword = (message: { type: string }): message is PasswordAnswer => {
  if (!isPasswordAnswer(message)) return false
  waiting.get(message.id)?.(message)
  waiting.delete(message.id)
  return true
}

const isPasswordAnswer = (message: { type: string }): message is PasswordAnswer => message.type === 'password'
