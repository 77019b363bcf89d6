import { rename } from 'node:fs/promises'
import { basename } from 'node:path'
import { pc } from '../colors.ts'
import { Batch, type BatchStatus, events } from '../index.ts'
import { countsText, drawBar } from '../observe/batch-bar.ts'
import { sleep } from '../time.ts'
import { ChecksumJob, DeliveryCompleteJob, DeliveryEndedJob, DeliveryIncompleteJob } from './jobs.ts'
import { BAD, GOOD, type Play, refuse } from './play.ts'
import { makeFiles } from './stage.ts'

const FILES = 8
const BAR_WIDTH = 40
const POLL_MS = 20
const MEGABYTE = 1024 * 1024

/** A batch with a discarded job: its success callback is not called until the job is retried and succeeds. */
export const playBatch = async (play: Play): Promise<void> => {
  const { screen, stage, signal } = play
  screen.line(pc.bold('1. A batch that comes back'))
  const paths = await makeFiles(stage.directory, { prefix: 'delivery', count: FILES, bytes: MEGABYTE })
  const late = paths[4] ?? ''
  await rename(late, `${late}.late`)

  const ended = performed(DeliveryEndedJob.name, signal)
  const incomplete = performed(DeliveryIncompleteJob.name, signal)
  const batch = await Batch.enqueue(
    {
      description: "tonight's delivery",
      onSuccess: DeliveryCompleteJob,
      onFinish: DeliveryEndedJob,
      onDiscard: DeliveryIncompleteJob,
    },
    async () => {
      for (const path of paths) await ChecksumJob.performLater(path)
    },
  )
  screen.line(
    `  ${GOOD} Batch "${batch.description}": ${FILES} files to checksum, on_success ${DeliveryCompleteJob.name}`,
  )
  await Promise.all([ended, incomplete])
  const broken = await batch.status()
  showStatus(play, broken)
  refuse(
    broken.jobs.discarded !== 1 || calls(broken, 'success') !== 0,
    'the batch should be discarded, without success',
  )
  const { jobId = '' } = broken.timeline.find(({ event }) => event === 'job broken') ?? {}
  screen.line(`  ${BAD} ${basename(late)} has not arrived: its job is discarded, and the batch with it`)
  screen.line(`  ${GOOD} on_discard ${DeliveryIncompleteJob.name} and on_finish ${DeliveryEndedJob.name} ran`)
  screen.line(`  ${BAD} on_success ${DeliveryCompleteJob.name} did not come`)
  await play.pause()

  await rename(`${late}.late`, late)
  const complete = performed(DeliveryCompleteJob.name, signal)
  await stage.capsule.adapter.retryJob(jobId)
  screen.line(
    `\n  ${pc.cyan('↻')} The file arrives, and the discarded job is retried ${pc.dim('(adapter.retryJob, or the dashboard)')}`,
  )
  await complete
  const healed = await untilFinished(batch, signal)
  showStatus(play, healed)
  refuse(healed.discardedAt !== null || calls(healed, 'success') !== 1, 'the batch should have come back')
  refuse(calls(healed, 'finish') !== 1, 'on_finish should have run once')
  screen.line(`  ${GOOD} The batch is back to success: on_success ran, once, and on_finish was not repeated`)
  screen.line(
    pc.dim('    GoodJob alone leaves it discarded for ever, and on_success is never called (its issue 1450).'),
  )
  await play.pause()
}

/** Resolves when a job of this class has been performed and the outcome is written. */
const performed = async (jobClass: string, signal: AbortSignal): Promise<void> => {
  await events.once('perform_job', (job) => job.jobClass === jobClass, { signal })
}

/** Resolves when the outcome of the last callback, and the end of the batch, have been written. */
const untilFinished = async (batch: Batch, signal: AbortSignal): Promise<BatchStatus> => {
  for (;;) {
    const status = await batch.status()
    if (status.finishedAt !== null) return status
    await sleep(POLL_MS, signal)
    signal.throwIfAborted()
  }
}

const calls = ({ callbacks }: BatchStatus, event: string): number =>
  callbacks.filter((each) => each.event === event).length

const showStatus = ({ screen }: Play, { jobs, discardedAt }: BatchStatus): void => {
  const verdict = discardedAt === null ? pc.green('succeeded') : pc.red('discarded')
  screen.line(`    ${drawBar(jobs, BAR_WIDTH)}  ${countsText(jobs)}  →  batch ${verdict}`)
}
