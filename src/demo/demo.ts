import { once } from 'node:events'
import { pc } from '../colors.ts'
import { events } from '../index.ts'
import { playBatch } from './batch-story.ts'
import { BAD, GOOD, type Play, pauseFor } from './play.ts'
import { Screen } from './screen.ts'
import { setStage } from './stage.ts'
import { showSummary } from './summary.ts'
import { playWork } from './work-story.ts'

/** The demo takes about ten seconds; after this time it is aborted. */
const TIME_LIMIT_MS = 55_000

export interface DemoOptions {
  /** Keep the server and the worker running after the demo until `signal` aborts. */
  readonly keep: boolean
  readonly output: NodeJS.WriteStream
  readonly signal: AbortSignal
}

/** Shows the package at work on a Postgres server of its own, and removes everything afterwards. */
export const runDemo = async ({ keep, output, signal: stop }: DemoOptions): Promise<void> => {
  const startedMs = performance.now()
  const screen = new Screen(output)
  screen.line(`${pc.bold('good-job-node')}  jobs and batches on GoodJob's tables, in Node\n`)
  screen.live(() => pc.dim(`  Starting Postgres … ${seconds(startedMs)} s`))
  const stage = await setStage().finally(() => screen.still())
  const signal = AbortSignal.any([stop, AbortSignal.timeout(TIME_LIMIT_MS)])
  const play: Play = { screen, stage, signal, pause: pauseFor(screen, signal) }
  const onTrouble = ({ error }: { readonly error: unknown }) => screen.line(`  ${BAD} ${String(error)}`)
  events.on('worker_error', onTrouble).on('claim_failed', onTrouble)
  try {
    const { server } = stage
    const kind = { given: 'of DATABASE_URL', testcontainers: 'in a container', embedded: 'of its own' }[server.kind]
    screen.line(`  ${GOOD} Postgres ${kind}, tables installed, a worker ready in ${seconds(startedMs)} s\n`)
    signal.throwIfAborted()
    await playBatch(play)
    await playWork(play)
    await showSummary(play)
    if (keep) await keepRunning(play, stop)
  } finally {
    events.off('worker_error', onTrouble).off('claim_failed', onTrouble)
    screen.still()
    await stage.close()
    screen.end()
  }
  screen.line(`\n  ${GOOD} Shut down, nothing left behind. ${seconds(startedMs)} s in all.`)
}

const seconds = (sinceMs: number): string => ((performance.now() - sinceMs) / 1000).toFixed(1)

const keepRunning = async ({ screen, stage }: Play, stop: AbortSignal): Promise<void> => {
  const { databaseUrl } = stage
  screen.line(`\n  ${pc.bold('Still running')} until Ctrl-C. Inspect it from another terminal:\n`)
  // The URL is long: on a line of its own, the other lines stay short enough to copy.
  screen.line(`    export DATABASE_URL=${databaseUrl}`)
  for (const command of ['batches list', 'jobs list --state discarded', 'doctor']) {
    screen.line(`    npx good-job ${command}`)
  }
  if (!stop.aborted) await once(stop, 'abort')
}
