import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import {
  claim,
  type FloorShape,
  finish,
  finishDeleting,
  insert,
  insertMany,
  reserve,
  SESSION,
  settle,
  settleDeleting,
  unlock,
} from './floor-sql.ts'
import type { ContenderModule, Perform, WorkerSpec } from './spec.ts'

interface FloorOptions extends FloorShape {
  readonly connections: number
  /** Lock, run, then write once. */
  readonly isDeferred: boolean
}

interface Row {
  readonly id: string | null
  readonly key: string
  readonly serialized_params: string
  readonly locked_at: string
  readonly execution_id: string
}

/** One connection's turn: claims, runs, writes; returns the keys to unlock, none if no job waited. */
type Turn = (client: Client, releasable: readonly string[]) => Promise<string[]>

/** A bare script on `pg`: the same statements on the same tables with nothing around them. */
export const makeWorker: ContenderModule['makeWorker'] = async (spec, perform) => {
  const options = spec.options as unknown as FloorOptions
  const stop = new AbortController()
  const loops: Promise<void>[] = []
  const turn = options.isDeferred ? deferredTurn(options, perform) : classicTurn(options, perform)
  return {
    start: async () => {
      for (let number = 0; number < options.connections; number += 1) {
        const client = await connect(spec)
        const listener = number === 0 ? await listen(spec) : undefined
        loops.push(loop(client, turn, listener?.wait, stop.signal).then(() => listener?.close()))
      }
    },
    stop: async () => {
      stop.abort()
      await Promise.all(loops)
    },
  }
}

const connect = async ({ databaseUrl }: WorkerSpec): Promise<Client> => {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  await client.query(SESSION)
  return client
}

const listen = async (spec: WorkerSpec) => {
  const client = await connect(spec)
  let heard = 0
  let acted = 0
  let wake = () => {}
  client.on('notification', () => {
    heard += 1
    wake()
  })
  await client.query('LISTEN good_job')
  const wait = async (ms: number) => {
    // A message that arrived during the last claim must not be missed.
    if (heard === acted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms)
        wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    acted = heard
  }
  return { wait, close: () => client.end() }
}

const IDLE_MS = 200

const loop = async (
  client: Client,
  turn: Turn,
  wait: (ms: number) => Promise<void> = (ms) => sleep(ms),
  signal: AbortSignal,
): Promise<void> => {
  let releasable: string[] = []
  while (!signal.aborted) {
    const keys = await turn(client, releasable)
    if (keys.length === 0) await wait(IDLE_MS)
    releasable = keys
  }
  await client.query(unlock, [releasable])
  await client.end()
}

const run = async (rows: readonly Row[], perform: Perform): Promise<void> => {
  const waiting = rows.map((row) => perform(sentAtOf(row.serialized_params))).filter((each) => each !== undefined)
  if (waiting.length > 0) await Promise.all(waiting)
}

/** Only the jobs of a latency measurement carry an argument; the JSON of others is not read. */
const sentAtOf = (params: string): number | undefined =>
  params.includes('"arguments": []') ? undefined : JSON.parse(params).arguments[0]

const classicTurn = (options: FloorOptions, perform: Perform): Turn => {
  const processId = randomUUID()
  const claimText = claim(options)
  const finishText = options.isDeleting ? finishDeleting : finish
  return async (client, releasable) => {
    const { rows } = await client.query<Row>({ name: 'claim', text: claimText, values: [releasable, processId] })
    const claimed = rows.filter(({ id }) => id !== null)
    if (claimed.length === 0) return []
    await run(claimed, perform)
    const values = [
      claimed.map(({ id }) => id),
      claimed.map((row) => row.locked_at),
      claimed.map((row) => row.execution_id),
    ]
    await client.query({ name: 'finish', text: finishText, values: [...values, processId] })
    return claimed.map(({ key }) => key)
  }
}

const deferredTurn = (options: FloorOptions, perform: Perform): Turn => {
  const processId = randomUUID()
  const reserveText = reserve(options)
  const settleText = options.isDeleting ? settleDeleting : settle
  return async (client, releasable) => {
    await client.query('BEGIN')
    const { rows } = await client.query<Row>({ name: 'reserve', text: reserveText, values: [releasable] })
    const claimed = rows.filter(({ id }) => id !== null)
    if (claimed.length > 0) {
      await run(claimed, perform)
      const values = [claimed.map(({ id }) => id), claimed.map((row) => row.locked_at), processId]
      await client.query({ name: 'settle', text: settleText, values })
    }
    await client.query('COMMIT')
    return claimed.map(({ key }) => key)
  }
}

export const makeEnqueuer: ContenderModule['makeEnqueuer'] = async (spec) => {
  const client = await connect(spec)
  const one = (sentAt: number | undefined) => {
    const id = randomUUID()
    const values = [id, params(id, sentAt), MESSAGE]
    return client.query({ name: 'insert', text: insert, values })
  }
  const many = (count: number) => {
    const ids = Array.from({ length: count }, () => randomUUID())
    const values = [ids, ids.map((id) => params(id, undefined)), JSON.stringify({ ...JSON.parse(MESSAGE), count })]
    return client.query({ name: 'insert_many', text: insertMany, values })
  }
  return { one, many, close: () => client.end() }
}

const MESSAGE = JSON.stringify({ queue_name: 'bench' })

const params = (id: string, sentAt: number | undefined): string =>
  JSON.stringify({
    job_class: 'NoopJob',
    job_id: id,
    provider_job_id: null,
    queue_name: 'bench',
    priority: 0,
    arguments: sentAt === undefined ? [] : [sentAt],
    executions: 0,
    exception_executions: {},
    locale: 'en',
    timezone: 'UTC',
    enqueued_at: new Date().toISOString(),
    scheduled_at: null,
  })
