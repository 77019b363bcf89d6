import type { ReadyReport } from '../../cluster/messages.ts'

/** Pools as a queue string, for the ready line. */
export const poolsText = (pools: ReadyReport['pools']): string =>
  pools.map(({ queues, max_threads }) => `${queues}:${max_threads}`).join(';')
