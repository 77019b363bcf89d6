// The heartbeat of a worker process, in a thread and on a connection of its own: a job that blocks the event loop for minutes must
// not make other processes consider this one dead and run its jobs again.
import pg from 'pg'
import { every } from '../../time.ts'
import { insideThread } from './inside.ts'

const { data, config, send, receive, close } = insideThread<'heartbeat-thread'>()
let { state } = data
let client: pg.Client | undefined
let isBeating = false

const connect = async (): Promise<pg.Client> => {
  if (client) return client
  const fresh = new pg.Client(config)
  const forget = () => {
    if (client === fresh) client = undefined
  }
  fresh.on('error', forget)
  fresh.on('end', forget)
  await fresh.connect()
  client = fresh
  return fresh
}

const beat = async (): Promise<void> => {
  if (isBeating) return
  isBeating = true
  try {
    const connected = await connect()
    // Through a pooler this connection has no session whose isolation level could be set.
    await connected.query(data.begin)
    await connected.query(data.statement, [data.processId, state])
    await connected.query('COMMIT')
    send({ type: 'beat' })
  } catch (error) {
    send({ type: 'failed', error: error instanceof Error ? error.message : String(error) })
    const broken = client
    client = undefined
    await broken?.end().catch(() => undefined)
  } finally {
    isBeating = false
  }
}

const timer = every(data.intervalMs, () => void beat())

const stop = async (): Promise<void> => {
  clearInterval(timer)
  await client?.end().catch(() => undefined)
  close()
}

receive((message) => {
  if (message.type === 'state') state = message.state
  else void stop()
})
