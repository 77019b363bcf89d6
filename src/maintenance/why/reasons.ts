import type { Pause } from '../../job/pauses.ts'

/** The process that has a job. 'silent': alive to GoodJob, but without a heartbeat for two minutes. 'no_row': only its id is known. */
export interface JobOwner {
  readonly id: string
  readonly hostname: string | null
  readonly pid: string | null
  readonly state: 'alive' | 'silent' | 'dead' | 'no_row'
  /** Its last heartbeat, by the server's clock; null without a row. */
  readonly heardAt: Date | null
}

/** A session of Postgres that holds the advisory lock of a job. */
export interface LockHolder {
  /** Of the server process, for pg_terminate_backend. */
  readonly pid: number
  readonly applicationName: string | null
  readonly clientAddress: string | null
  readonly connectedAt: Date | null
}

/** A running job that takes a place of a concurrency rule. */
export interface PlaceHolder {
  readonly jobId: string
  readonly startedAt: Date
  /** Null if its process has no row. */
  readonly process: { readonly hostname: string; readonly pid: string } | null
}

/** GoodJob's lock strategies. */
export type LockType = 'advisory' | 'skiplocked' | 'hybrid'

/** Why a job is as it is: of several reasons the first of this list. */
export type JobReason =
  | { readonly reason: 'missing' }
  | { readonly reason: 'succeeded'; readonly finishedAt: Date; readonly attempts: number }
  | {
      readonly reason: 'discarded'
      readonly finishedAt: Date
      readonly attempts: number
      readonly error: string
      /** Whether a person discarded it, or its last attempt failed. */
      readonly by: 'person' | 'attempt'
    }
  | {
      readonly reason: 'running'
      readonly process: JobOwner
      /** Null when the job is claimed and has not begun. */
      readonly startedAt: Date | null
      /** The first is 1. */
      readonly attempt: number
    }
  | {
      /** Locked by an owner without a process row, and no session holds the advisory lock. */
      readonly reason: 'abandoned'
      readonly ownerId: string
      readonly lockedAt: Date | null
      /** Null before GoodJob 4.15. */
      readonly lockType: LockType | null
      /** When a Node worker releases it at the latest; null when none will, so that a person has to. */
      readonly releasedWithinMinutes: number | null
      /** A live Ruby process before GoodJob 4.22.1 has lost its row and may be the owner. */
      readonly ownerMayLive: boolean
    }
  | {
      /** A session holds its advisory lock, and no live process has it. */
      readonly reason: 'advisory_locked'
      readonly session: LockHolder
    }
  | { readonly reason: 'claimed_by_dead_process'; readonly process: JobOwner; readonly hasLiveWorker: boolean }
  | { readonly reason: 'scheduled'; readonly at: Date }
  | {
      readonly reason: 'retried'
      readonly at: Date
      /** The attempt that it waits for. */
      readonly attempt: number
      /** Of the last attempt. */
      readonly error: string
    }
  | {
      readonly reason: 'paused'
      readonly pause: Pause
      /** Live workers that could run it, by whether they honour pauses. Ruby's do not publish that. */
      readonly workers: { readonly honouring: number; readonly ignoring: number; readonly unknown: number }
    }
  | { readonly reason: 'no_worker' }
  | {
      readonly reason: 'queue_unserved'
      readonly queue: string | null
      /** The queues that live workers serve. */
      readonly pools: readonly string[]
    }
  | {
      readonly reason: 'class_unknown'
      readonly queue: string | null
      readonly jobClass: string | null
      /** The live workers of the queue. */
      readonly workers: readonly { readonly hostname: string; readonly pid: string }[]
    }
  | {
      /** A rule that a worker has published: the limit of jobs in a scope is reached. */
      readonly reason: 'concurrency_full'
      /** `label:<label>`, `key:<key>` or `all`. */
      readonly key: string
      readonly limit: number
      readonly running: number
      /** The first of the running jobs. */
      readonly holders: readonly PlaceHolder[]
    }
  | {
      /** A rule that a worker has published: its throttle is used up. */
      readonly reason: 'concurrency_throttled'
      readonly key: string
      readonly count: number
      readonly seconds: number
      /** When the throttle allows the next start; null: never. */
      readonly until: Date | null
    }
  | { readonly reason: 'concurrency_limited'; readonly keys: readonly string[]; readonly since: Date }
  | {
      readonly reason: 'due'
      readonly since: Date
      readonly queue: string | null
      readonly jobClass: string | null
      /** Due jobs of its queue that workers start first. */
      readonly jobsBefore: number
      /** There may be more before it. */
      readonly isCapped: boolean
      /** Its last attempt was interrupted; it starts again. */
      readonly isInterrupted: boolean
      /** Its live workers are all Ruby's, which do not publish their classes: they may not know its class. */
      readonly mayLackClass: boolean
    }

/** What `adapter.why` returns: `reason` decides which fields there are. */
export type JobExplanation = JobReason & {
  readonly jobId: string
  /** How far the clock of the asking process is ahead of the server's, negative when it is behind; null below some seconds. */
  readonly clockAheadSeconds: number | null
  /** A pause that no live worker honours: the job starts all the same. */
  readonly ignoredPause: Pause | null
}
