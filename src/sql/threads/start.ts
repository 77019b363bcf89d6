import { type ResourceLimits, Worker } from 'node:worker_threads'
import type { PasswordFunction, SendableConfig } from './config.ts'
import { threadFile } from './file.ts'
import type { PasswordAnswer, PasswordQuestion, ThreadConnection, ThreadName, Threads } from './messages.ts'

/** A thread that accepts the messages of its kind. */
export interface Thread<N extends ThreadName> extends Worker {
  postMessage(message: Threads[N]['to']): void
}

interface ThreadOptions<N extends ThreadName> {
  /** How it connects. */
  readonly connection: SendableConfig
  readonly data: Threads[N]['data']
  readonly onMessage: (message: Threads[N]['from']) => void
  readonly resourceLimits?: ResourceLimits
}

/** Starts a thread, and answers its questions for passwords. It does not keep the process alive. */
export const startThread = <N extends ThreadName>(
  name: N,
  { connection: { config, password }, data, onMessage, ...limits }: ThreadOptions<N>,
): Thread<N> => {
  const connection: ThreadConnection = { config, asksPassword: password !== undefined }
  const thread = new Worker(threadFile(name), { ...limits, workerData: { ...data, ...connection } })
  thread.on('message', (message: Threads[N]['from'] | PasswordQuestion) => {
    if (message.type !== 'password') onMessage(message)
    else if (password !== undefined) void answerPassword(thread, password, message)
  })
  thread.unref()
  return thread
}

/** Sends a thread the password that the user's function returns for this connection. */
const answerPassword = async (
  thread: Worker,
  password: PasswordFunction,
  { id, connection }: PasswordQuestion,
): Promise<void> => {
  const send = (answer: PasswordAnswer) => thread.postMessage(answer)
  try {
    send({ type: 'password', id, password: await password(connection) })
  } catch (error) {
    send({ type: 'password', id, error: error instanceof Error ? error.message : String(error) })
  }
}
