import { InterruptError } from '../../errors.ts'
import type { Job } from '../base.ts'
import type { Next } from '../callbacks.ts'
import { STATE } from '../state.ts'

/** The sentence GoodJob stores for an attempt that never reported back; `startedAt` is that attempt's start. */
const interruptText = (startedAt: Date): string =>
  `Interrupted after starting perform at '${startedAt.toISOString().slice(0, 19).replace('T', ' ')} UTC'`

/** GoodJob 4.23.1 interrupt_errors.rb: a class with this extension gets an exception in place of its body. */
export const throwIfInterrupted = async (job: Job, next: Next): Promise<void> => {
  const { interruptedAt } = job[STATE].run
  if (interruptedAt) throw new InterruptError(interruptText(interruptedAt))
  await next()
}
