/** What a subprocess reports when it has started; for the ready line of the supervisor. */
export interface ReadyReport {
  readonly processId: string
  readonly pools: readonly { readonly queues: string; readonly max_threads: number }[]
  readonly jobClasses: readonly string[]
}

/** The health of a subprocess, as its probes would report it. */
export interface HealthReport {
  readonly started: boolean
  readonly connected: boolean
  readonly ready: boolean
  readonly whyNotReady?: string | undefined
}

/** From a subprocess to its supervisor. */
export type ToSupervisor =
  | ({ readonly type: 'ready' } & ReadyReport)
  | ({ readonly type: 'health' } & HealthReport)
  /** The start was refused for a reason that another start cannot change: `text` for standard error, and the exit code. */
  | { readonly type: 'refused'; readonly text: string; readonly code: number }

/** From the supervisor to a subprocess. SIGTERM asks it to stop; this message asks it to abort its running jobs, too. */
export type ToSubprocess = { readonly type: 'abort' }

type Message = ToSupervisor | ToSubprocess

/** Job code may send messages of its own, so those of the cluster are wrapped. */
export const wrapMessage = (message: Message): { readonly goodJob: Message } => ({ goodJob: message })

/** The message of the cluster in what came through Node's IPC channel, or undefined. */
export const unwrapMessage = <M extends Message>(value: unknown): M | undefined => {
  const message = (value as { readonly goodJob?: M } | null | undefined)?.goodJob
  return typeof message?.type === 'string' ? message : undefined
}
