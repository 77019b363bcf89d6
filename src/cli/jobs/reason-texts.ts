import type { Pause } from '../../job/pauses.ts'
import type { JobOwner, JobReason, LockHolder } from '../../maintenance/why/reasons.ts'
import { agoText, plural, timeText } from '../output.ts'

interface TextOptions {
  readonly jobId: string
  /** By the server's clock. */
  readonly now: Date
}

/** A reason in words: what is, then what happens next or what to do. */
export const reasonLines = (reason: JobReason, options: TextOptions): string[] =>
  // The key decides which member of the union the text takes.
  (TEXTS[reason.reason] as (reason: JobReason, options: TextOptions) => string[])(reason, options)

type Texts = {
  readonly [R in JobReason['reason']]: (reason: Extract<JobReason, { reason: R }>, options: TextOptions) => string[]
}

const TEXTS: Texts = {
  missing: (_, { jobId }) => [
    `There is no job ${jobId} in this database.`,
    'It was never enqueued here, its transaction was rolled back, or its row was deleted after its end.',
  ],
  succeeded: ({ finishedAt, attempts }, { now }) => [
    `It succeeded at ${when(finishedAt, now)}, in attempt ${attempts}.`,
  ],
  discarded: ({ finishedAt, attempts, error, by }, { now, jobId }) => [
    by === 'person'
      ? `A person discarded it at ${when(finishedAt, now)}, after ${plural(attempts, 'attempt')}: ${error}`
      : `It was discarded at ${when(finishedAt, now)}, as attempt ${attempts} failed: ${error}`,
    `To run it again: good-job jobs retry ${jobId}`,
  ],
  running: ({ process, startedAt, attempt }, { now }) => [
    startedAt === null
      ? `${processName(process)} has claimed it for attempt ${attempt} and has not started it yet.`
      : `${processName(process)} is running attempt ${attempt}, since ${when(startedAt, now)}.`,
    ...ownerLines(process, now),
  ],
  abandoned: (reason, { now, jobId }) => abandonedLines(reason, jobId, now),
  advisory_locked: ({ session }, { now }) => [
    `${sessionName(session)} holds its advisory lock${connectedText(session, now)}, so that workers leave it alone.`,
    ...holderLines(session),
  ],
  claimed_by_dead_process: ({ process, hasLiveWorker }, { now }) => [
    `${processName(process)} claimed it and is dead: its last heartbeat was at ${when(process.heardAt, now)}.`,
    hasLiveWorker
      ? 'The next cleanup of any live worker releases it within minutes, and it runs again.'
      : 'The first worker that starts releases it, and it runs again; no worker is alive now.',
  ],
  scheduled: ({ at }, { now }) => [`It is scheduled for ${when(at, now)}.`],
  retried: ({ at, attempt, error }, { now }) => [
    `It waits for attempt ${attempt} at ${when(at, now)}. The last attempt failed: ${error}`,
  ],
  paused: ({ pause, workers }) => [`${pauseName(pause)} is paused.`, honourText(workers)],
  no_worker: () => ['No worker process is alive.', 'Start one: good-job start, or bundle exec good_job start.'],
  queue_unserved: ({ queue, pools }) => [
    `No live worker serves queue "${queue ?? ''}".`,
    `The live workers serve ${names(pools)}.`,
  ],
  class_unknown: ({ queue, jobClass, workers }) => [
    `No live worker of queue "${queue ?? ''}" has class ${jobClass ?? '–'}.`,
    `The workers of that queue: ${workers.map(({ hostname, pid }) => `${hostname}:${pid}`).join(', ')}.`,
  ],
  concurrency_full: (reason, { now }) => fullLines(reason, now),
  concurrency_throttled: ({ key, count, seconds, until }, { now }) => [
    `It waits for the throttle of ${key}, ${plural(count, 'start')} in ${seconds} s, which allows ${
      until === null ? 'no start' : `the next start at ${when(until, now)}`
    }.`,
  ],
  concurrency_limited: ({ keys, since }, { now }) => [
    `A concurrency rule of GoodJob refused it at ${when(since, now)}. It waits for a free place under ${names(keys)}.`,
  ],
  due: (reason, { now }) => dueLines(reason, now),
}

const fullLines = (reason: Extract<JobReason, { reason: 'concurrency_full' }>, now: Date): string[] => {
  const { key, limit, running, holders } = reason
  const names = holders.map(({ jobId, startedAt, process }) => {
    const owner = process === null ? 'a process without a row' : `process ${process.hostname}:${process.pid}`
    return `Job ${jobId} has a place, in ${owner} since ${when(startedAt, now)}.`
  })
  return [
    `It waits for a free place: ${plural(running, 'job')} of ${key} ${running === 1 ? 'runs' : 'run'}, and the limit is ${limit}.`,
    ...names,
    ...(running > holders.length ? [`For all of them: good-job concurrency show '${key}'`] : []),
  ]
}

const when = (time: Date | null, now: Date): string => `${timeText(time)} UTC (${agoText(time, now)})`

const names = (list: readonly string[]): string => list.map((name) => `"${name}"`).join(', ') || 'nothing'

const processName = ({ id, hostname, pid }: JobOwner): string =>
  hostname === null ? `Process ${id}` : `Process ${hostname}:${pid}`

const ownerLines = ({ state, heardAt }: JobOwner, now: Date): string[] => {
  if (state === 'no_row') return ['The process has no row in good_job_processes, but it still has the job.']
  if (state === 'silent')
    return [
      `The process has been silent since ${when(heardAt, now)}. After five minutes it counts as dead, and its jobs run again.`,
    ]
  return []
}

const abandonedLines = (reason: Extract<JobReason, { reason: 'abandoned' }>, jobId: string, now: Date): string[] => {
  const { ownerId, lockedAt, lockType, releasedWithinMinutes, ownerMayLive } = reason
  const since = lockedAt === null ? '' : ` since ${when(lockedAt, now)}`
  const release = `good-job jobs release ${jobId}`
  return [
    `It is locked${since} by process ${ownerId}, which has no row, and no session holds its advisory lock (lock type ${lockType ?? 'unknown'}).`,
    ...(ownerMayLive
      ? [
          'A live Ruby process before GoodJob 4.22.1 has lost its row and may be that process, so that no worker releases the job.',
        ]
      : []),
    releasedWithinMinutes === null
      ? `${ownerMayLive ? '' : 'No Node worker is alive to release it. '}When you know that its process is gone: ${release}`
      : `A Node worker releases it within ${releasedWithinMinutes} minutes. When you know that its process is gone: ${release}`,
  ]
}

const sessionName = ({ pid, applicationName, clientAddress }: LockHolder): string =>
  `Session ${pid} (${[applicationName || 'no application_name', clientAddress].filter(Boolean).join(', ')})`

const connectedText = ({ connectedAt }: LockHolder, now: Date): string =>
  connectedAt === null ? '' : `, connected since ${when(connectedAt, now)}`

/** The application_name of the sessions with which workers in Node claim (claim/lane-settings.ts). */
const LANE = 'GoodJob::Lane'

const holderLines = ({ pid, applicationName }: LockHolder): string[] => [
  ...(applicationName === LANE
    ? [
        'That is the claim session of a Node worker, which starts the job, or writes its start with its end (--defer-start).',
      ]
    : ['No process row names a live owner. A Ruby worker holds such a lock for a moment before it starts a job.']),
  `If the session belongs to no live process: SELECT pg_terminate_backend(${pid});`,
]

const honourText = (workers: Extract<JobReason, { reason: 'paused' }>['workers']): string => {
  const { honouring, ignoring, unknown } = workers
  if (honouring + ignoring + unknown === 0) return 'No live worker would run it without the pause either.'
  const parts = [
    ...(honouring > 0 ? [`${plural(honouring, 'live worker')} of this job with --enable-pauses`] : []),
    ...(unknown > 0 ? [`${plural(unknown, 'Ruby worker')} that may or may not honour pauses`] : []),
    ...(ignoring > 0 ? [`${plural(ignoring, 'worker')} without --enable-pauses, which may start it all the same`] : []),
  ]
  return `There ${honouring + ignoring + unknown === 1 ? 'is' : 'are'} ${parts.join(', ')}.`
}

/** GoodJob calls it as in its settings. */
export const pauseName = ({ by, name }: Pause): string =>
  `${{ queue: 'Queue', class: 'Class', label: 'Label' }[by]} "${name}"`

const dueLines = (reason: Extract<JobReason, { reason: 'due' }>, now: Date): string[] => {
  const { since, queue, jobClass, jobsBefore, isCapped, isInterrupted, mayLackClass } = reason
  const count = isCapped
    ? `${jobsBefore} or more due jobs`
    : jobsBefore === 0
      ? 'no due job'
      : plural(jobsBefore, 'due job')
  const before = `${count} of queue "${queue ?? ''}" ${jobsBefore < 2 && !isCapped ? 'is' : 'are'} before it`
  return [
    `It is due since ${when(since, now)}, and waits for its turn: ${before}.`,
    ...(isInterrupted ? ['Its last attempt was interrupted; it starts again.'] : []),
    ...(mayLackClass
      ? [
          `Only Ruby workers serve the queue. They do not publish their classes: check whether they have ${jobClass ?? '–'}.`,
        ]
      : []),
  ]
}
