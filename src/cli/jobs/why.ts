import type { Command } from 'commander'
import type { Pause } from '../../job/pauses.ts'
import type { JobExplanation } from '../../maintenance/why/reasons.ts'
import { PartialFailure } from '../failure.ts'
import { durationText, print, printJson, snakeCase } from '../output.ts'
import { addSessionOptions, parseId, withSession } from '../session.ts'
import { pauseName, reasonLines } from './reason-texts.ts'

/** `good-job jobs why`: why is this job not done, or how did it end? */
export const addWhyCommand = (jobs: Command): void => {
  const command = addSessionOptions(jobs.command('why').description('why a job waits, runs, or how it ended'))
  command.argument('<id>', 'job id', parseId).action((id: string) => explain(command, id))
}

const explain = (command: Command, id: string): Promise<void> =>
  withSession(command, async ({ adapter, isJson, now }) => {
    const explanation = await adapter.why(id)
    if (isJson) printJson(snakeCase(explanation))
    else print(explanationLines(explanation, now).join('\n'))
    if (explanation.reason === 'missing') throw new PartialFailure(`there is no job ${id}`)
  })

/** The reason first, then what else a person has to know. */
export const explanationLines = (explanation: JobExplanation, now: Date): string[] => {
  const { jobId, clockAheadSeconds, ignoredPause } = explanation
  const serverNow = new Date(now.getTime() - (clockAheadSeconds ?? 0) * 1000)
  return [
    ...reasonLines(explanation, { jobId, now: serverNow }),
    ...(ignoredPause === null ? [] : [ignoredPauseText(ignoredPause)]),
    ...(clockAheadSeconds === null ? [] : [clockText(clockAheadSeconds)]),
  ]
}

const ignoredPauseText = (pause: Pause): string =>
  `${pauseName(pause)} is paused, but no live worker of this job honours pauses: it starts all the same.`

const clockText = (aheadSeconds: number): string => {
  const amount = durationText(Math.abs(aheadSeconds))
  const way = aheadSeconds > 0 ? 'ahead of' : 'behind'
  return `The clock of this machine is ${amount} ${way} the server's. A worker starts jobs by the clock of its own machine: compare those, too.`
}
