import { pc } from '../colors.ts'
import { sleep } from '../time.ts'
import type { Screen } from './screen.ts'
import type { Stage } from './stage.ts'

export const GOOD = pc.green('✔')
export const BAD = pc.red('✖')

/** What a part of the demo plays with. */
export interface Play {
  readonly screen: Screen
  readonly stage: Stage
  /** Aborts at Ctrl-C, and when the demo takes far too long. */
  readonly signal: AbortSignal
  /** Time to read. */
  readonly pause: () => Promise<void>
}

const READING_MS = 1_500

/** People read, files do not. */
export const pauseFor = (screen: Screen, signal: AbortSignal) => async (): Promise<void> => {
  if (screen.isLive) await sleep(READING_MS, signal)
  signal.throwIfAborted()
}

/** The demo is a test of itself. @throws Error when `isWrong` */
export const refuse = (isWrong: boolean, expectation: string): void => {
  if (isWrong) throw new Error(`the demo did not show what it promises: ${expectation}`)
}
