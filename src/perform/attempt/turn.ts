import { setImmediate } from 'node:timers'

let turn: Promise<void> | undefined

/**
 * Resolves when Node has reported the unhandled promise rejections of this turn. Node does so after the microtasks, too late for a
 * `perform()` that ends at once. Shared by all attempts that end in the same turn of the event loop.
 */
export const endOfTurn = (): Promise<void> => {
  turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined
      resolve()
    })
  })
  return turn
}
