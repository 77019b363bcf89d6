import { parseQueueString, queueGroups } from '../claim/queue-string.ts'

/** How many subprocesses there are and what each of them works on. */
export interface ClusterPlan {
  /** The queue string of each subprocess, by its number. */
  readonly queues: readonly string[]
  /** What the operator should know, for the log. */
  readonly warnings: readonly string[]
}

export interface PlanOptions {
  readonly queues: string
  readonly threads: number
  readonly subprocesses: number
  readonly idleTimeout: number | undefined
}

/**
 * The subprocesses of a worker, or undefined if it is a single process. GoodJob 4.23.1 configuration.rb#subprocess_configs: several groups
 * of queues (`|`) mean a subprocess each, whatever `subprocesses` says; otherwise all subprocesses work on the same queues.
 * @throws QueueStringError for a group that cannot be read
 */
export const planCluster = ({ queues, threads, subprocesses, idleTimeout }: PlanOptions): ClusterPlan | undefined => {
  const groups = queueGroups(queues)
  const isGrouped = groups.length > 1
  if (!isGrouped && subprocesses === 0) return undefined
  const queuesOfEach = isGrouped ? groups : Array.from({ length: subprocesses }, () => groups[0] ?? queues)
  for (const group of queuesOfEach) parseQueueString(group, threads)
  const warnings: string[] = []
  if (isGrouped && subprocesses > 0) {
    warnings.push(
      `subprocesses (${subprocesses}) is ignored because the queue string has ${groups.length} groups, which are a subprocess each`,
    )
  }
  if (idleTimeout !== undefined) {
    warnings.push('idleTimeout is ignored with several processes: a subprocess that ended would only be replaced')
  }
  return { queues: queuesOfEach, warnings }
}
