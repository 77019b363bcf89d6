/**
 * What the probes report about a process: a worker about itself, a supervisor about its children. Each answer is about the moment of the
 * call, and none of them waits.
 */
export interface Health {
  /** Whether every pool runs. False before the start is complete, and from the beginning of the shutdown. */
  started(): boolean
  /** Whether it has started, and news of jobs arrives. */
  connected(): boolean
  /** Whether it has started, claims jobs, and writes their outcomes. */
  ready(): boolean
  /** Why `ready` is false, in a few words for an operator. */
  whyNotReady?(): string | undefined
}
