import pg from 'pg'
import { endsWithin } from '../../time.ts'

/**
 * Borrows a connection of the pool. The pool listens for errors on idle connections only, and without a listener Node would exit.
 * The connection has a listener from the moment it is lent, because its end may arrive together with the response that opened it.
 * The next statement reports the loss to the borrower.
 */
export const borrow = (pool: pg.Pool, onLost: (error: Error) => void): Promise<pg.PoolClient> =>
  new Promise((resolve, reject) => {
    pool.connect((error, client) => {
      if (client === undefined) return reject(error)
      client.on('error', onLost)
      resolve(client)
    })
  })

/** A live server responds at once. pg's types do not include the timeout of a single statement. */
const PROOF: pg.QueryConfig = Object.assign({ text: 'SELECT 1' }, { query_timeout: 2_000 })

/** Ends idle connections that do not respond. */
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
    // The next query on the pool reports the error.
  }
}

/** An idle connection that the server closes is replaced by the next query; without a listener Node would exit. */
export const ignoreIdleError = (): void => undefined

/** How long dropped connections may take to close. */
const DROP_MS = 500

/** A pool that can be ended even while its connections do not respond. */
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

  /** Waits for connections that are in use, and drops them after `graceMs`. */
  async end(graceMs: number): Promise<void> {
    if (this.isEnding) return
    const ended = this.pool.end()
    if (await endsWithin(ended, graceMs)) return
    for (const client of this.#clients) client.connection.stream.destroy()
    await endsWithin(ended, DROP_MS)
  }
}
