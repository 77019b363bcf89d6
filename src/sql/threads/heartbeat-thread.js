// The heartbeat of a worker process, in a thread and on a connection of its own: a job that blocks the event loop for minutes must
// not make other processes consider this one dead and run its jobs again. Plain JavaScript, because a thread starts from a file
// that Node can run, even when the rest is run from TypeScript.
import { parentPort, workerData } from 'node:worker_threads'
import pg from 'pg'
import { isPasswordAnswer, withPassword } from './password.js'

/** @typedef {{ config: import('pg').ClientConfig, asksPassword: boolean, begin: string, statement: string, processId: string, state: string, intervalMs: number }} HeartbeatData */

/** @type {HeartbeatData} */
const data = workerData
let { state } = data
/** @type {pg.Client | undefined} */
let client
let isBeating = false

const connect = async () => {
  if (client) return client
  const fresh = new pg.Client(withPassword(data))
  const forget = () => {
    if (client === fresh) client = undefined
  }
  fresh.on('error', forget)
  fresh.on('end', forget)
  await fresh.connect()
  client = fresh
  return fresh
}

const beat = async () => {
  if (isBeating) return
  isBeating = true
  try {
    const connected = await connect()
    // Through a pooler this connection has no session whose isolation level could be set.
    await connected.query(data.begin)
    await connected.query(data.statement, [data.processId, state])
    await connected.query('COMMIT')
    parentPort?.postMessage({ type: 'beat' })
  } catch (error) {
    parentPort?.postMessage({ type: 'failed', error: error instanceof Error ? error.message : String(error) })
    const broken = client
    client = undefined
    await broken?.end().catch(() => undefined)
  } finally {
    isBeating = false
  }
}

const timer = setInterval(beat, data.intervalMs)

parentPort?.on('message', async (message) => {
  if (isPasswordAnswer(message)) return
  if (message.type === 'state') state = message.state
  if (message.type === 'beat') await beat()
  if (message.type !== 'stop') return
  clearInterval(timer)
  await client?.end().catch(() => undefined)
  parentPort?.postMessage({ type: 'stopped' })
  parentPort?.close()
})
