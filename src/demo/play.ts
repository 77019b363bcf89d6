import { pc } from '../colors.ts'
import { sleep } from '../time.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'

export const GOOD = pc.green('✔')
export const BAD = pc.red('✖')

/** The context of each part of the demo. */
export interface Play {
  readonly screen: Screen
  readonly stage: Stage
  /** Aborts at Ctrl-C, and when the demo takes far too long. */
  readonly signal: AbortSignal
  /** Waits while the viewer reads. */
  readonly pause: () => Promise<void>
}

const READING_MS = 1_500

/** Pauses at a terminal only: a file has no reader who waits. */
export const pauseFor = (screen: Screen, signal: AbortSignal) => async (): Promise<void> => {
  if (screen.isLive) await sleep(READING_MS, signal)
  signal.throwIfAborted()
}

/** Checks that the demo shows what it promises. @throws Error when `isWrong` */
export const refuse = (isWrong: boolean, expectation: string): void => {
  if (isWrong) throw new Error(`the demo did not show what it promises: ${expectation}`)
}
