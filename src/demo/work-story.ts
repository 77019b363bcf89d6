import { pc } from '../colors.ts'
import { type EventMap, events, performAllLater } from '../index.ts'
import { ChecksumJob, FlakyJob, HopelessJob, ReminderJob } from './jobs.ts'
import { BAD, GOOD, type Play } from './play.ts'
import { makeFiles } from './stage.ts'

const FILES = 60
const BYTES = 256 * 1024
const WAIT_SECONDS = 3
const BAR_WIDTH = 24

/** Everyday work: many files at once, a job that needs three attempts, a job for later, and a job that always fails. */
export const playWork = async (play: Play): Promise<void> => {
  const { screen, stage, signal } = play
  screen.line(pc.bold('\n2. Everyday work'))
  const paths = await makeFiles(stage.directory, { prefix: 'file', count: FILES, bytes: BYTES })
  const work = new Work(play)
  const done = work.watch(signal)
  // The rejection is handled where `done` is awaited, which may be later.
  done.catch(() => {})
  screen.live(() => work.draw())
  await performAllLater(paths.map((path) => new ChecksumJob(path)))
  await FlakyJob.performLater()
  await HopelessJob.performLater()
  await ReminderJob.set({ wait: WAIT_SECONDS }).performLater()
  screen.line(
    `  ${GOOD} Enqueued: ${FILES} files in one INSERT, a flaky job, a hopeless one, and one that starts in ${WAIT_SECONDS} s`,
  )
  await done
  screen.still()
}

/** Follows the jobs through their events. */
class Work {
  readonly #play: Play
  readonly #startedMs = performance.now()
  #files = 0
  readonly #open = new Set(['FlakyJob', 'HopelessJob', 'ReminderJob'])
  #resolve: () => void = () => {}

  constructor(play: Play) {
    this.#play = play
  }

  /** Resolves when all jobs have ended. */
  async watch(signal: AbortSignal): Promise<void> {
    const onEnd = (job: EventMap['perform_job']) => this.#tell(job)
    events.on('perform_job', onEnd)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#resolve = resolve
        signal.throwIfAborted()
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      })
    } finally {
      events.off('perform_job', onEnd)
    }
  }

  draw(): string {
    const filled = Math.round((this.#files / FILES) * BAR_WIDTH)
    const bar = `${pc.green('█'.repeat(filled))}${pc.dim('░'.repeat(BAR_WIDTH - filled))}`
    const open = [...this.#open].join(', ')
    return `    ${bar}  ${this.#files} of ${FILES} files${open === '' ? '' : pc.dim(`  waiting for ${open}`)}`
  }

  #tell(job: EventMap['perform_job']): void {
    const { jobClass, outcome, executions = 0, error } = job
    if (jobClass === ChecksumJob.name) this.#files += 1
    if (jobClass === ChecksumJob.name && this.#files === FILES)
      this.#say(GOOD, `${FILES} checksums computed, 4 at a time`)
    if (this.#open.has(jobClass)) {
      const hasEnded = outcome !== 'retried'
      if (hasEnded) this.#open.delete(jobClass)
      const verdict = outcome === 'succeeded' ? 'succeeded' : hasEnded ? 'discarded for good' : 'failed, retried in 1 s'
      const sign = outcome === 'succeeded' ? GOOD : hasEnded ? BAD : pc.yellow('↻')
      this.#say(sign, `${jobClass.padEnd(11)} attempt ${executions}: ${verdict}${error ? pc.dim(`  ${error}`) : ''}`)
    }
    if (this.#files === FILES && this.#open.size === 0) this.#resolve()
  }

  #say(sign: string, text: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(1).padStart(5)
    this.#play.screen.line(`  ${sign} ${pc.dim(`${seconds} s`)}  ${text}`)
  }
}
