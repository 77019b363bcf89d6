import { KeyObject } from 'node:crypto'
import { types } from 'node:util'
import type { Worker } from 'node:worker_threads'
import type { ClientConfig } from 'pg'

/** A configuration for a thread, or why none of its connections could be the one that was meant. */
export type ThreadConfig =
  | {
      readonly kind: 'sendable'
      readonly config: ClientConfig
      /** Makes the password of each connection; stays in this thread. */
      readonly password: PasswordFunction | undefined
    }
  | { readonly kind: 'unsendable'; readonly reason: string }

type PasswordFunction = (connection: object) => unknown

/** Options that decide to whom a connection goes and whether that is checked: without one of them it is another connection. */
const DECISIVE = ['ssl', 'stream', 'connection']

/**
 * What of a configuration a thread can take. Functions cannot be sent. One that makes passwords is asked from the thread; `types`, hooks of
 * a pool and the like mean nothing to our statements and are left out; but a function that checks the server's certificate or opens the
 * stream cannot be left out without weakening what it is there for.
 */
export const threadConfig = (config: ClientConfig): ThreadConfig => {
  const sent: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(config)) {
    if (value === undefined) continue
    const plain = plainCopy(value)
    if (plain !== undefined) sent[key] = plain.copy
    else if (DECISIVE.includes(key)) return { kind: 'unsendable', reason: unsendableReason(key, value) }
  }
  const { password } = config
  return {
    kind: 'sendable',
    config: sent,
    password: typeof password === 'function' ? (password as PasswordFunction) : undefined,
  }
}

const unsendableReason = (key: string, value: unknown): string => {
  const within = Object.entries(Object(value)).find(([, part]) => plainCopy(part) === undefined)?.[0]
  return `${within === undefined ? key : `${key}.${within}`} of the pool cannot be sent to a thread`
}

/** A deep copy without functions and instances; undefined when there is something that cannot be copied. */
const plainCopy = (value: unknown): { readonly copy: unknown } | undefined => {
  if (typeof value === 'function' || typeof value === 'symbol') return undefined
  if (typeof value !== 'object' || value === null || types.isUint8Array(value)) return { copy: value }
  if (value instanceof KeyObject || types.isDate(value)) return { copy: value }
  const isArray = Array.isArray(value)
  const prototype: unknown = Object.getPrototypeOf(value)
  if (!isArray && prototype !== Object.prototype && prototype !== null) return undefined
  const copy: Record<string, unknown> | unknown[] = isArray ? [] : {}
  // pg hides private keys from enumeration, and with it from the copy that a thread would get.
  for (const key of Object.getOwnPropertyNames(value)) {
    if (isArray && key === 'length') continue
    const part = plainCopy((value as Record<string, unknown>)[key])
    if (part === undefined) return undefined
    Object.assign(copy, { [key]: part.copy })
  }
  return { copy }
}

/** A thread asks for the password of a connection. */
export interface PasswordQuestion {
  readonly type: 'password'
  readonly id: number
  readonly connection: object
}

/** Answers a thread with what the user's function says about this connection. */
export const answerPassword = async (
  thread: Worker,
  password: PasswordFunction | undefined,
  { id, connection }: PasswordQuestion,
): Promise<void> => {
  try {
    thread.postMessage({ type: 'password', id, password: await password?.(connection) })
  } catch (error) {
    thread.postMessage({ type: 'password', id, error: error instanceof Error ? error.message : String(error) })
  }
}
