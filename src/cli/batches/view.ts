import type { BatchStatus, TimelineEntry } from '../../batch/status.ts'
import { pc } from '../../colors.ts'
import { javaScriptText } from '../../job/exceptions/error-names.ts'
import { countsText, drawBar, stateText } from '../../observe/batch-bar.ts'
import type { JobState } from '../../sql/jobs/states.ts'
import { durationText, terminalWidth, timeText } from '../output.ts'

const BAR_WIDTH = 60

/** Everything about one batch, as text. */
export const drawBatch = (status: BatchStatus): string => {
  const { jobs, total, callbacks, timeline } = status
  const width = Math.min(BAR_WIDTH, terminalWidth() - 4)
  return [
    `${pc.bold(status.description ?? 'Batch')} ${pc.dim(status.id)}`,
    '',
    `  ${drawBar(jobs, width)}`,
    `  ${total} ${total === 1 ? 'job' : 'jobs'}: ${countsText(jobs)}`,
    `  ${stateLine(status)}`,
    '',
    pc.bold('Callbacks'),
    ...(callbacks.length === 0 ? [pc.dim('  none enqueued')] : callbacks.map(callbackLine)),
    '',
    pc.bold('Timeline'),
    ...timeline.map((entry) => timelineLine(entry, timeline[0]?.at)),
  ].join('\n')
}

const RECOVERY: Readonly<Record<BatchStatus['recovery']['state'], string>> = {
  none: '',
  waiting: 'it recovers when its discarded jobs are retried and succeed',
  recoverable: 'every job has succeeded since; the next sweep, or "batches recover", recovers it',
  recovered: 'it was discarded and has recovered',
  unproven: 'no job is broken any more, but success cannot be proven',
  false_success: 'its success callback was enqueued although a job was discarded',
}

const stateLine = ({ recovery, discardedAt, finishedAt, jobsFinishedAt, enqueuedAt }: BatchStatus): string => {
  const state = discardedAt
    ? pc.red('discarded')
    : finishedAt || jobsFinishedAt
      ? pc.green(finishedAt ? 'succeeded' : 'succeeded, callbacks still run')
      : enqueuedAt
        ? pc.magenta('running')
        : pc.dim('not enqueued')
  const reason = recovery.reason === null || recovery.state === 'waiting' ? '' : ` (${recovery.reason})`
  const text = RECOVERY[recovery.state]
  return text === '' ? state : `${state}: ${text}${reason}`
}

const callbackLine = ({ event, jobClass, jobId, state, error, thrownAs }: BatchStatus['callbacks'][number]): string => {
  const reason = error ? `\n    ${pc.red(javaScriptText(error, thrownAs ?? undefined))}` : ''
  return `  ${`on_${event}`.padEnd(10)}  ${jobClass}  ${stateText(state as JobState)}  ${pc.dim(jobId)}${reason}`
}

const timelineLine = ({ at, event, jobId, detail }: TimelineEntry, start: Date | undefined): string => {
  const after = start === undefined ? '' : `+${durationText((at.getTime() - start.getTime()) / 1000)}`
  const paint = /broken|discard/.test(event)
    ? pc.red
    : /recovered|succeeded|finished/.test(event)
      ? pc.green
      : (text: string) => text
  const what = [detail, jobId && pc.dim(jobId)].filter(Boolean).join('  ')
  return `  ${pc.dim(timeText(at))}  ${after.padStart(8)}  ${paint(event)}${what ? `  ${what}` : ''}`
}

/** ` Enqueued: A (success), B (finish).`, or nothing. */
export const callbacksText = (callbacks: readonly { readonly event: string; readonly jobClass: string }[]): string =>
  callbacks.length === 0
    ? ''
    : ` Enqueued: ${callbacks.map(({ event, jobClass }) => `${jobClass} (${event})`).join(', ')}.`
