import { KeyObject } from 'node:crypto'
import { types } from 'node:util'
import type { ClientConfig } from 'pg'
import type { PasswordUse } from './messages.ts'

/** A configuration for a thread, or the reason why a thread cannot connect as configured. */
export type ThreadConfig = SendableConfig | { readonly kind: 'unsendable'; readonly reason: string }

export interface SendableConfig {
  readonly kind: 'sendable'
  readonly config: ClientConfig
  /** Makes the password of each connection; stays in this thread. */
  readonly password: PasswordFunction | undefined
}

/** pg passes the parameters of the connection, though its types leave them out. */
export type PasswordFunction = (connection: PasswordUse) => string | Promise<string>

/** Options that decide where a connection leads and whether that is verified: without one of them it is another connection. */
const DECISIVE = ['ssl', 'stream', 'connection']

/**
 * The part of a configuration that can be sent to a thread. Functions cannot be sent. The thread calls a function that creates
 * passwords by a message. `types`, hooks of a pool and the like do not affect the statements here and are left out. A function that
 * verifies the server's certificate or opens the stream cannot be left out without weakening what it is for.
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
    password: typeof password === 'function' ? password : undefined,
  }
}

const unsendableReason = (key: string, value: unknown): string => {
  const within = Object.entries(Object(value)).find(([, part]) => plainCopy(part) === undefined)?.[0]
  return `${within === undefined ? key : `${key}.${within}`} of the pool cannot be sent to a thread`
}

/** A deep copy without functions and instances; undefined if something cannot be copied. */
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
