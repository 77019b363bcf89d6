import { pc } from '../../colors.ts'
import { javaScriptNameIn, javaScriptText } from '../../job/exceptions/error-names.ts'
import { stateText } from '../../observe/batch-bar.ts'
import type { ListedJob, ShownExecution, ShownJob } from '../../sql/jobs/list.ts'
import { agoText, durationText, table, timeText } from '../output.ts'

/** `thrown_as`: the JavaScript class of the error, if the row names its Ruby equivalent. */
interface ThrownAs {
  readonly thrown_as: string | null
}

const errorOf = ({ error, thrown_as }: { readonly error: string | null } & ThrownAs): string =>
  error === null ? '' : javaScriptText(error, thrown_as ?? undefined)

/** A page of jobs as a table. */
export const drawJobs = (jobs: readonly (ListedJob & ThrownAs)[], now: Date): string =>
  table(
    ['id', 'class', 'queue', 'state', 'runs', 'when', 'error'],
    jobs.map((job) => [
      job.id,
      job.job_class ?? '–',
      job.queue_name ?? '–',
      jobStateText(job),
      String(job.executions_count ?? 0),
      agoText(job.finished_at ?? job.performed_at ?? job.scheduled_at ?? job.created_at, now),
      errorOf(job),
    ]),
  )

/** The dashboard shows an interrupted job that waits to run again as running; here it is shown as waiting. */
const jobStateText = ({ state, locked_by_id }: ListedJob): string =>
  state === 'running' && locked_by_id === null ? pc.yellow('waiting (interrupted)') : stateText(state)

/** The row as JSON, with serialized_params as an object instead of text. Numbers beyond 2^53 lose digits, as in any JSON.parse. */
export const jobJson = (job: ListedJob & { readonly serialized_params?: string }): Record<string, unknown> =>
  job.serialized_params === undefined ? { ...job } : { ...job, serialized_params: JSON.parse(job.serialized_params) }

/** Everything about one job. */
export const drawJob = (
  job: ShownJob & ThrownAs,
  executions: readonly ShownExecution[],
  reason: readonly string[] = [],
): string => {
  const lines: (readonly [string, string | null])[] = [
    ['state', jobStateText(job)],
    ['queue', `${job.queue_name ?? '–'}, priority ${job.priority ?? 0}`],
    ['created', timeText(job.created_at)],
    ['scheduled', timeText(job.scheduled_at)],
    ['started', job.performed_at && timeText(job.performed_at)],
    ['finished', job.finished_at && timeText(job.finished_at)],
    ['locked by', job.locked_by_id && `process ${job.locked_by_id}`],
    ['batch', job.batch_id],
    ['callback of', job.batch_callback_id && `batch ${job.batch_callback_id}`],
    ['labels', job.labels && job.labels.length > 0 ? job.labels.join(', ') : null],
    ['key', job.concurrency_key],
    ['cron', job.cron_key],
    ['arguments', argumentsText(job.serialized_params)],
    ['error', job.error && pc.red(errorOf(job))],
    ['stored as', job.thrown_as && job.error],
    ...reason.map((line, index) => [index === 0 ? 'why' : ' ', line] as const),
  ]
  const facts = lines.flatMap(([name, text]) => (text ? [`  ${pc.dim(name.padEnd(11))} ${text}`] : []))
  const attempts = executions.length === 0 ? ['  no attempt yet'] : executions.flatMap(drawExecution)
  return [`${pc.bold(job.job_class ?? '–')} ${job.id}`, ...facts, '', pc.bold('Attempts'), ...attempts].join('\n')
}

const BACKTRACE_LINES = 5

const drawExecution = (execution: ShownExecution, index: number): string[] => {
  const { created_at, finished_at, duration_seconds, error, error_backtrace } = execution
  const failure = error === null ? null : javaScriptText(error, javaScriptNameIn(error_backtrace))
  const outcome = finished_at === null ? pc.magenta('running') : failure ? pc.red(failure) : pc.green('succeeded')
  const took = duration_seconds === null ? '' : durationText(duration_seconds)
  const frames = shownLines(error_backtrace ?? []).map((line) => pc.dim(`       ${line}`))
  return [`  ${String(index + 1).padStart(2)}. ${timeText(created_at)}  ${took.padStart(8)}  ${outcome}`, ...frames]
}

/** The innermost frames, then each cause with its innermost frame. */
const shownLines = (backtrace: readonly string[]): readonly string[] => {
  const causes = backtrace.findIndex((line) => line.startsWith('caused by '))
  const own = (causes < 0 ? backtrace : backtrace.slice(0, causes)).slice(0, BACKTRACE_LINES)
  if (causes < 0) return own
  return [...own, ...backtrace.slice(causes).filter((line, index, lines) => isCause(line) || isCause(lines[index - 1]))]
}

const isCause = (line: string | undefined): boolean => line?.startsWith('caused by ') === true

const argumentsText = (serializedParams: string): string => {
  try {
    const { arguments: given } = JSON.parse(serializedParams) as { arguments?: unknown }
    return JSON.stringify(given ?? [])
  } catch {
    return serializedParams
  }
}
