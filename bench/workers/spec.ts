/** The task of a contender's process; arrives as JSON in BENCH_SPEC. */
export interface WorkerSpec {
  /** The module of the contender, a URL. */
  readonly module: string
  readonly databaseUrl: string
  /** Milliseconds that each job waits. */
  readonly jobMs: number
  /** Settings of this contender's own. */
  readonly options: Readonly<Record<string, unknown>>
}

/** The work of every job. Jobs that measure their delay pass `sentAt`. */
export type Perform = (sentAt?: number) => Promise<void> | undefined

/** A worker of a contender, made but not working yet. */
export interface Worker {
  start(): Promise<void>
  stop(): Promise<void>
}

/** The enqueueing side of a contender. */
export interface Enqueuer {
  one(sentAt: number | undefined): Promise<unknown>
  many(count: number): Promise<unknown>
  close(): Promise<void>
}

/** What each contender's module exports. */
export interface ContenderModule {
  makeWorker(spec: WorkerSpec, perform: Perform): Promise<Worker>
  makeEnqueuer(spec: WorkerSpec): Promise<Enqueuer>
}

/** A request to an enqueueing process. */
export type EnqueueOrder =
  /** The time goes with each job if `isTimed`. */
  | { readonly kind: 'oneByOne'; readonly count: number; readonly pauseMs: number; readonly isTimed: boolean }
  | { readonly kind: 'bulk'; readonly count: number; readonly size: number }
  /** `size` jobs each `everyMs`, until the process is stopped. */
  | { readonly kind: 'steadily'; readonly size: number; readonly everyMs: number }

export type ToWorker =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  | { readonly kind: 'enqueue'; readonly order: EnqueueOrder }

export type FromWorker =
  | { readonly kind: 'booted' }
  | { readonly kind: 'started' }
  /** `count` jobs have run; the first began at `firstAt`, the last ended before `at`. Milliseconds of the machine's monotonic clock. */
  | { readonly kind: 'ran'; readonly count: number; readonly firstAt: number; readonly at: number }
  | { readonly kind: 'enqueued'; readonly ms: number }
  | { readonly kind: 'stopped'; readonly delays: readonly number[] }

/** Milliseconds of a clock that all processes of the machine share. */
export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6
