import type pg from 'pg'

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
