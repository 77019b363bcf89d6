// The password of a connection in a thread, if a function of the user creates it (a token that is valid for minutes). Functions
// cannot be sent to a thread, so each new connection asks the main thread.
import { parentPort } from 'node:worker_threads'

/** @typedef {{ type: 'password', id: number, password?: string, error?: string }} PasswordAnswer */

/** @type {Map<number, (answer: PasswordAnswer) => void>} */
const waiting = new Map()
let lastId = 0

/** @param {{ user?: string, database?: string, host?: string, port?: number }} connection @returns {Promise<string>} */
const askPassword = ({ user, database, host, port }) =>
  new Promise((resolve, reject) => {
    lastId += 1
    waiting.set(lastId, ({ password, error }) => {
      if (error === undefined) resolve(/** @type {string} */ (password))
      else reject(new Error(error))
    })
    parentPort?.postMessage({ type: 'password', id: lastId, connection: { user, database, host, port } })
  })

/**
 * A configuration as pg takes it.
 * @param {{ config: import('pg').ClientConfig, asksPassword: boolean }} sent @returns {import('pg').ClientConfig}
 */
export const withPassword = ({ config, asksPassword }) =>
  asksPassword
    ? { ...config, password: /** @type {() => Promise<string>} */ (/** @type {unknown} */ (askPassword)) }
    : config

/** Takes the reply of the main thread; false if the message is something else. @param {{ type: string }} message */
export const isPasswordAnswer = (message) => {
  if (message.type !== 'password') return false
  const answer = /** @type {PasswordAnswer} */ (message)
  waiting.get(answer.id)?.(answer)
  waiting.delete(answer.id)
  return true
}
