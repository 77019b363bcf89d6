import { explainJob, type JobFacts } from '../../src/maintenance/why/explain.ts'
import type { RuleCounts } from '../../src/maintenance/why/rule-counts.ts'
import { type WorkerProcess, workerProcess } from '../../src/maintenance/worker-processes.ts'
import type { JobSituation } from '../../src/sql/jobs/situation.ts'
import type { ListedProcess } from '../../src/sql/process/list.ts'

const NOW = '2026-01-31T12:00:00.000Z'
export const at = (seconds: number): string => new Date(Date.parse(NOW) + seconds * 1000).toISOString()
export const JOB_ID = '00000000-0000-4000-8000-0000000000d1'
export const OWNER_ID = '00000000-0000-4000-8000-00000000c1a2'

const JOB: JobSituation = {
  id: JOB_ID,
  job_class: 'MailJob',
  queue_name: 'mail',
  priority: 0,
  labels: null,
  concurrency_key: null,
  created_at: at(-60),
  scheduled_at: at(-60),
  performed_at: null,
  finished_at: null,
  error: null,
  executions_count: 0,
  locked_by_id: null,
  locked_at: null,
  lock_type: null,
  is_abandoned: false,
  has_renamed: false,
  holder_pid: null,
  holder_application: null,
  holder_address: null,
  holder_connected_at: null,
  now_ms: Date.parse(NOW),
}

export const OWNER: ListedProcess = {
  id: OWNER_ID,
  created_at: at(-600),
  updated_at: at(-10),
  state: JSON.stringify({ hostname: 'web-1', pid: 7, schedulers: [{ queues: '*' }] }),
  is_alive: true,
  is_silent: false,
  running_jobs: 1,
}

export const NODE: WorkerProcess = {
  ...workerProcess(OWNER),
  pools: ['mail'],
  job_classes: ['MailJob'],
  honours_pauses: true,
}
export const RUBY: WorkerProcess = { ...NODE, pools: ['*'], job_classes: null, honours_pauses: null }

const NO_COUNTS: RuleCounts = { running: new Map(), holders: [], throttles: [], claimed: new Set() }

const FACTS: JobFacts = {
  job: JOB,
  owner: undefined,
  processes: [NODE],
  pauses: { queues: [], jobClasses: [], labels: [] },
  claims: [],
  counts: NO_COUNTS,
  before: { jobs: 3, is_capped: false },
  clockAheadMs: 0,
}

export type Changes = Partial<Omit<JobFacts, 'job'>> & { readonly job?: Partial<JobSituation> }
/** Later changes override earlier ones. */
const facts = (...changes: readonly Changes[]): JobFacts => ({
  ...FACTS,
  ...Object.assign({}, ...changes),
  job: Object.assign({}, JOB, ...changes.map(({ job }) => job)),
})
export const explain = (...changes: readonly Changes[]) => explainJob(JOB_ID, facts(...changes))

/** The facts that make each reason true, apart from reasons that follow from the state of the workers alone. */
export const FINISHED = { job: { finished_at: at(-5), executions_count: 2 } }
export const DISCARDED = { job: { ...FINISHED.job, error: 'TypeError: no' } }
export const OWNED = { job: { locked_by_id: OWNER_ID, locked_at: at(-20) }, owner: OWNER }
export const RUNNING = { ...OWNED, job: { ...OWNED.job, performed_at: at(-20), executions_count: 2 } }
export const ABANDONED = { job: { locked_by_id: OWNER_ID, locked_at: at(-20), is_abandoned: true } }
export const HELD = { job: { holder_pid: 42, holder_application: 'psql', holder_connected_at: at(-90) } }
export const DEAD_OWNER = { ...OWNED, owner: { ...OWNER, is_alive: false, updated_at: at(-400) } }
export const SCHEDULED = { job: { scheduled_at: at(60) } }
export const RETRIED = { job: { scheduled_at: at(60), error: 'TypeError: no', executions_count: 1 } }
export const PAUSED = { pauses: { queues: ['mail'], jobClasses: [], labels: [] } }
export const NO_WORKER = { processes: [] }
export const UNSERVED = { processes: [{ ...NODE, pools: ['other'] }] }
export const CLASSLESS = { processes: [{ ...NODE, job_classes: ['OtherJob'] }] }
export const LIMITED = { claims: [{ key: 'key:tenant', created_at: at(-30) }] }

/** A rule about one key, which is full. */
export const FULL = {
  job: { concurrency_key: 'one' },
  processes: [
    {
      ...NODE,
      concurrency_rules: [
        {
          job_class: 'MailJob',
          counts: 'key',
          value: 'one',
          is_control: true,
          limit: 1,
          throttle: { count: 2, seconds: 60 },
        },
      ],
    },
  ],
  counts: {
    ...NO_COUNTS,
    running: new Map([['key:one', 1]]),
    holders: [
      {
        claim_key: 'key:one',
        id: '00000000-0000-4000-8000-0000000000d2',
        job_class: 'MailJob',
        locked_by_id: OWNER_ID,
        performed_at: at(-20),
      },
    ],
  },
} as const satisfies Changes
/** The same rule with a free place, but its throttle is used up. */
export const THROTTLED = {
  ...FULL,
  counts: {
    ...NO_COUNTS,
    throttles: [{ claimKey: 'key:one', count: 2, seconds: 60, starts: [at(-10), at(-20)] }],
  },
} satisfies Changes
