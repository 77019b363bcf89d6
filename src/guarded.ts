import { events } from './events.ts'

/** Wraps the callback of a timer or a listener: an error is emitted as `worker_error` and ends neither the process nor the timer. */
export const guarded =
  <A extends unknown[]>(processId: string, part: string, work: (...args: A) => void): ((...args: A) => void) =>
  (...args) => {
    try {
      work(...args)
    } catch (error) {
      events.emit('worker_error', { processId, part, error })
    }
  }
