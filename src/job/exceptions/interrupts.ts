import { InterruptError } from '../../errors.ts'
import type { Job } from '../base.ts'
import type { Next } from '../callbacks.ts'
import { STATE } from '../state.ts'

/** The text that GoodJob stores as the error of an attempt that wrote no outcome; `startedAt` is the start of that attempt. */
const interruptText = (startedAt: Date): string =>
  `Interrupted after starting perform at '${startedAt.toISOString().slice(0, 19).replace('T', ' ')} UTC'`

/** Throws InterruptError in place of `perform()` after an interrupted attempt. GoodJob 4.23.1 interrupt_errors.rb. */
export const throwIfInterrupted = async (job: Job, next: Next): Promise<void> => {
  const { interruptedAt } = job[STATE].run
  if (interruptedAt) throw new InterruptError(interruptText(interruptedAt))
  await next()
}
