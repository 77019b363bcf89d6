import { DeserializationError } from '../../errors.ts'
import { copyHash, hashKind, isPlainObject, rememberKind } from '../arguments/hash-kind.ts'
import { GlobalID, RubyRange } from './ruby-values.ts'

/** Whether these arguments contain a GlobalID at any depth. */
export const containsGlobalID = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(containsGlobalID)
  if (value instanceof GlobalID) return true
  if (value instanceof Map) return Array.from(value.values()).some(containsGlobalID)
  if (value instanceof RubyRange) return containsGlobalID(value.begin) || containsGlobalID(value.end)
  return isPlainObject(value) && Object.values(value).some(containsGlobalID)
}

/**
 * Replaces every GlobalID, at any depth and one after the other, by the result of `locate`; returns the same array if there is none. A
 * located object is serialized as its GlobalID again. An error of `locate` becomes a DeserializationError.
 */
export const mapGlobalIDs = async (args: unknown[], locate: (gid: GlobalID) => unknown): Promise<unknown[]> => {
  if (!containsGlobalID(args)) return args
  try {
    return (await replaceIn(args, locate)) as unknown[]
  } catch (error) {
    throw error instanceof DeserializationError ? error : new DeserializationError(error)
  }
}

const replaceIn = async (value: unknown, locate: (gid: GlobalID) => unknown): Promise<unknown> => {
  if (!containsGlobalID(value)) return value
  if (value instanceof GlobalID) return rememberLocated(await locate(value), value)
  if (Array.isArray(value)) return inOrder(value, (element) => replaceIn(element, locate))
  if (value instanceof RubyRange) {
    const [begin, end] = await inOrder([value.begin, value.end], (limit) => replaceIn(limit, locate))
    return new RubyRange(begin, end, value.excludeEnd)
  }
  return replaceInHash(value as object, locate)
}

const replaceInHash = async (hash: object, locate: (gid: GlobalID) => unknown): Promise<object> => {
  const copy = hash instanceof Map ? new Map(hash) : copyHash(hash)
  const entries: Iterable<[unknown, unknown]> = hash instanceof Map ? hash : Object.entries(hash)
  for (const [key, value] of entries) {
    const replaced = await replaceIn(value, locate)
    if (copy instanceof Map) copy.set(key, replaced)
    else copy[key as string] = replaced
  }
  const kind = hashKind(hash)
  return kind ? rememberKind(copy, kind) : copy
}

const inOrder = async (
  values: readonly unknown[],
  replace: (value: unknown) => Promise<unknown>,
): Promise<unknown[]> => {
  const replaced: unknown[] = []
  for (const value of values) replaced.push(await replace(value))
  return replaced
}

const located = new WeakMap<object, GlobalID>()

// A retry serializes the current arguments again, and a record must become its gid again, whatever its JavaScript class.
const rememberLocated = (record: unknown, gid: GlobalID): unknown => {
  if (typeof record === 'object' && record !== null && !(record instanceof GlobalID)) located.set(record, gid)
  return record
}

/** The GlobalID by which this object was located. */
export const globalIdOf = (record: object): GlobalID | undefined => located.get(record)
