import { randomUUID } from 'node:crypto'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether the text is a UUID. Postgres refuses to compare a uuid column with any other text. */
export const isUuid = (text: string): boolean => UUID.test(text)

/** Index of the version digit. The digits after it are random in version 4, and version 7 reuses them. */
const VERSION_INDEX = 14

/**
 * A UUID of version 7 (RFC 9562): the time in milliseconds, then 74 random bits. Rails uses random UUIDs for jobs and batches, which spread
 * over the whole index. With ids in the order of time, jobs that are enqueued together share index pages, however large the table is.
 */
export const uuidV7 = (): string => {
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(VERSION_INDEX + 1)}`
}
