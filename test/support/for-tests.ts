import { afterAll, beforeAll } from 'vitest'

/**
 * What `open` makes before the first test of a file or a `describe`, and `close` ends after the last one. Tests and hooks use
 * its properties as if it were open from the beginning.
 */
export const forTests = <T extends object>(open: () => Promise<T>, close: (opened: T) => Promise<unknown>): T => {
  let opened: T | undefined
  beforeAll(async () => {
    opened = await open()
  })
  afterAll(() => opened && close(opened))
  const get = (_target: T, name: string | symbol): unknown => {
    if (opened === undefined) throw new Error(`${String(name)} is used before the first test`)
    return Reflect.get(opened, name)
  }
  return new Proxy({} as T, { get })
}
