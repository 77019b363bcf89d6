import pg from 'pg'
import { endsWithin } from '../../time.ts'

/**
 * A connection of the pool, which listens to idle ones only: without a listener Node would exit. It listens from the moment it is lent,
 * because what ends it may have come with the answer that opened it. The next statement tells the borrower.
 */
export const borrow = (pool: pg.Pool, onLost: (error: Error) => void): Promise<pg.PoolClient> =>
  new Promise((resolve, reject) => {
    pool.connect((error, client) => {
      if (client === undefined) return reject(error)
      client.on('error', onLost)
      resolve(client)
    })
  })

/** A server that is there answers at once. pg's types do not know the limit of a single statement. */
const PROOF: pg.QueryConfig = Object.assign({ text: 'SELECT 1' }, { query_timeout: 2_000 })

/** Ends idle connections on which no answer comes. */
export const dropDead = async (pool: pg.Pool): Promise<void> => {
  await Promise.all(Array.from({ length: pool.idleCount }, () => proveOne(pool)))
}

const proveOne = async (pool: pg.Pool): Promise<void> => {
  let broken: Error | undefined
  const noteLoss = (error: Error) => {
    broken = error
  }
  try {
    const client = await borrow(pool, noteLoss)
    await client.query(PROOF).catch(noteLoss)
    client.off('error', noteLoss)
    client.release(broken)
  } catch {
    // Whoever asks the pool next is told.
  }
}

/** An idle connection that the server closes is replaced by the next query; without a listener Node would exit. */
export const ignoreIdleError = (): void => undefined

/** How long dropped connections take to be gone. */
const DROP_MS = 500

/** A pool that can be ended also while nobody answers on its connections. */
export class OwnPool {
  readonly pool: pg.Pool
  readonly #config: pg.PoolConfig
  readonly #clients = new Set<pg.Client>()

  constructor(config: pg.PoolConfig) {
    this.#config = config
    const clients = this.#clients
    class OwnClient extends pg.Client {
      constructor(options?: pg.ClientConfig) {
        super(options)
        clients.add(this)
        this.once('end', () => clients.delete(this))
      }
    }
    this.pool = new pg.Pool({ ...config, Client: OwnClient } as pg.PoolConfig)
    this.pool.on('error', ignoreIdleError)
  }

  get isEnding(): boolean {
    return this.pool.ending
  }

  /** A new pool, after the end of this one. */
  again(): OwnPool {
    return new OwnPool(this.#config)
  }

  /** Waits for what is under way, and after `graceMs` drops it. */
  async end(graceMs: number): Promise<void> {
    if (this.isEnding) return
    const ended = this.pool.end()
    if (await endsWithin(ended, graceMs)) return
    for (const client of this.#clients) client.connection.stream.destroy()
    await endsWithin(ended, DROP_MS)
  }
}
