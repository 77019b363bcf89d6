import { events } from '../../events.ts'
import { currentProcessId } from '../../job/context.ts'
import { failCurrentAttempt, jobOfCurrentAttempt } from '../../perform/attempt/execution.ts'

/**
 * Assigns an unhandled rejection to the job whose code caused it: the attempt fails or, if it has already ended, `worker_error` is emitted.
 * @returns false when no job's code caused it
 */
export const giveToJob = (error: unknown): boolean => {
  if (failCurrentAttempt(error)) return true
  const job = jobOfCurrentAttempt()
  if (job === undefined) return false
  const processId = currentProcessId()
  const part = `a promise that job ${job.id} left behind when it ended`
  events.emit('worker_error', { ...(processId === undefined ? {} : { processId }), part, error })
  return true
}

let watchers = 0

/**
 * Starts a watch: an unawaited rejection in a job's code no longer ends this Node process. All other rejections take their usual way: to
 * the host's listeners, or else to the mode of --unhandled-rejections, which by default ends the process. @returns a function that ends
 * the watch
 */
export const watchRejections = (): (() => void) => {
  if (watchers === 0) process.on('unhandledRejection', onRejection)
  watchers += 1
  let isWatching = true
  return () => {
    if (!isWatching) return
    isWatching = false
    watchers -= 1
    if (watchers === 0) process.off('unhandledRejection', onRejection)
  }
}

const onRejection = (reason: unknown): void => {
  if (giveToJob(reason) || process.listenerCount('unhandledRejection') > 1) return
  const mode = rejectionMode()
  if (mode === 'throw') throw asThrown(reason)
  // In the other modes Node has printed its warning already, or prints none. Only in this mode does Node check for listeners first.
  if (mode !== 'warn-with-error-code') return
  process.emitWarning(asThrown(reason))
  process.exitCode = 1
}

const MODE = /^--unhandled-rejections[= ](.+)$/

const rejectionMode = (): string => {
  const words = [
    ...(process.env.NODE_OPTIONS ?? '').split(/\s+(?=--)/),
    ...process.execArgv.join(' ').split(/\s+(?=--)/),
  ]
  return (
    words
      .findLast((word) => MODE.test(word))
      ?.match(MODE)?.[1]
      ?.trim() ?? 'throw'
  )
}

const asThrown = (reason: unknown): Error =>
  reason instanceof Error
    ? reason
    : Object.assign(new Error(`a promise was rejected with ${String(reason)} and not handled`), {
        code: 'ERR_UNHANDLED_REJECTION',
      })
