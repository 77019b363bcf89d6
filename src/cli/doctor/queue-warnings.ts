import type { QueuePool } from '../../claim/queue-string.ts'
import type { JobConstructor } from '../../job/base.ts'
import { queueNameFromPart } from '../../job/definition/naming.ts'

/** Warnings about a queue string that GoodJob accepts but that is most likely a typing mistake. */
export const queueWarnings = (text: string, pools: readonly QueuePool[], jobs: readonly JobConstructor[]): string[] => {
  const names = new Set(pools.flatMap(({ selector }) => (selector.kind === 'include' ? selector.queues : [])))
  const ofClasses = queuesOf(jobs)
  const warnings: string[] = []
  const noNumber = /[^;|]*:\s*(?=[;|]|$)/.exec(text)?.[0]
  if (noNumber !== undefined)
    warnings.push(`queues: there is no number after ":" in "${noNumber.trim()}", so --threads decides`)
  for (const name of names) {
    if (/\s/.test(name))
      warnings.push(`queues: "${name}" is one queue with a space in its name; commas separate queues`)
    else if (ofClasses !== undefined && !ofClasses.has(name))
      warnings.push(`queues: no class of this worker has the queue "${name}" (queueAs); they have ${list(ofClasses)}`)
  }
  return warnings
}

/** The queues that the classes name; undefined when a class chooses the queue for each job. */
const queuesOf = (jobs: readonly JobConstructor[]): ReadonlySet<string> | undefined => {
  const queues = new Set<string>()
  for (const job of jobs) {
    if (typeof job.queueAs === 'function') return undefined
    queues.add(queueNameFromPart(job, job.queueAs))
  }
  return queues
}

const list = (names: ReadonlySet<string>): string => [...names].map((name) => `"${name}"`).join(', ')
