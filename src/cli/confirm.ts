import { createInterface } from 'node:readline/promises'
import { PartialFailure, UsageError } from './failure.ts'

/** Asks for confirmation at a terminal; elsewhere `--yes` is required. @throws UsageError without a terminal, PartialFailure after a no */
export const confirm = async (question: string, isAgreed: boolean): Promise<void> => {
  if (isAgreed) return
  if (process.stdin.isTTY !== true) throw new UsageError(`${question} There is no terminal to confirm it; add --yes.`)
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`${question} [y/N] `)
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    terminal.close()
  }
  process.stderr.write('Nothing was done.\n')
  throw new PartialFailure('not confirmed')
}
