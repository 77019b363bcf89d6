import { randomUUID } from 'node:crypto'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** Whether a uuid column may be compared with this text; Postgres refuses any other. */
export const isUuid = (text: string): boolean => UUID.test(text)

/** Where the random digits of a version 4 UUID begin that a version 7 one ends with, behind the digit of the version. */
const VERSION_INDEX = 14

/**
 * A UUID of version 7 (RFC 9562): the time in milliseconds, then 74 random bits. Rails takes random ones for jobs and batches, which spread
 * over the whole of each index; with ids by time, jobs that are enqueued and run one after the other share pages, however many rows are
 * beside them.
 */
export const uuidV7 = (): string => {
  const time = Date.now().toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(VERSION_INDEX + 1)}`
}
