import type { PublishedRule } from '../../job/concurrency/published.ts'
import type { WorkerProcess } from '../../maintenance/worker-processes.ts'
import { countUncounted, findCrowdedKeys, type UncountedJobs } from '../../sql/concurrency/uncounted.ts'
import type { Queryable } from '../../sql/connection/queryable.ts'
import type { Facts } from '../../sql/database.ts'
import { RUNNING_INDEX } from '../../sql/schema/class-indexes.ts'
import { plural } from '../output.ts'
import type { Advice } from './advice.ts'

/** Unfinished jobs of limited classes that are read. */
const MAX_JOBS = 20_000

/** Problems with concurrency rules, in words. */
export const concurrencyProblems = async (db: Queryable, processes: readonly WorkerProcess[]): Promise<string[]> => {
  const alive = processes.filter(({ is_alive }) => is_alive)
  const rules = alive.flatMap(({ concurrency_rules }) => concurrency_rules ?? [])
  return [...differentRules(alive), ...(await uncountedProblems(db, rules))]
}

/** Classes whose rules differ between processes that run them: each process keeps to its own. */
const differentRules = (processes: readonly WorkerProcess[]): string[] => {
  const rulesOf = new Map<string, Map<string, string>>()
  for (const { concurrency_rules, job_classes, hostname, pid } of processes) {
    for (const name of concurrency_rules === null ? [] : (job_classes ?? [])) {
      const own = JSON.stringify(concurrency_rules?.filter(({ job_class }) => job_class === name))
      const known = rulesOf.get(name) ?? new Map<string, string>()
      rulesOf.set(name, known.set(own, known.get(own) ?? `${hostname}:${pid}`))
    }
  }
  return [...rulesOf].flatMap(([name, known]) =>
    known.size < 2
      ? []
      : [`the concurrency rules of ${name} differ between processes, such as ${[...known.values()].join(' and ')}`],
  )
}

const uncountedProblems = async (db: Queryable, rules: readonly PublishedRule[]): Promise<string[]> => {
  const classes = new Map<string, PublishedRule[]>()
  for (const rule of rules) {
    if (rule.job_class !== null) classes.set(rule.job_class, [...(classes.get(rule.job_class) ?? []), rule])
  }
  if (classes.size === 0) return []
  const labels = rules.flatMap(({ job_class, counts, value }) =>
    job_class !== null && counts === 'label' && value !== null ? [{ jobClass: job_class, label: value }] : [],
  )
  const counted = await countUncounted(db, { jobClasses: [...classes.keys()], labels, maxJobs: MAX_JOBS })
  return counted.flatMap((jobs) => uncountedProblem(jobs, classes.get(jobs.job_class) ?? []))
}

/** A rule counts jobs by columns of their rows, on either side. Without the value there, a running job takes no place. */
const uncountedProblem = (jobs: UncountedJobs, rules: readonly PublishedRule[]): string[] => {
  const { job_class, keyless, labelled, jobs: all } = jobs
  const control = rules.find(({ is_control }) => is_control)
  // A function may return no key for some jobs.
  const lacksKey = control !== undefined && (control.value === null ? keyless === all : keyless > 0)
  const byLabel = rules.every(({ counts, value }) => counts === 'label' && value !== null)
  return [
    ...(lacksKey
      ? [
          `${plural(keyless, 'job')} of ${job_class} ${keyless === 1 ? 'has' : 'have'} no concurrency key, so its limit does not count ${keyless === 1 ? 'it' : 'them'}`,
        ]
      : []),
    ...(byLabel && labelled === 0
      ? [`no job of ${job_class} has a label of its concurrency rules (${plural(all, 'job')}), so they limit none`]
      : []),
  ]
}

/** From this number of unfinished jobs on, the count of a Ruby worker before each start is noticeably slow. */
const CROWDED = 10_000

/** Advises an index for Ruby's count of running jobs, if Ruby workers count keys with many unfinished jobs. */
export const rubyCountAdvice = async (
  db: Queryable,
  facts: Facts,
  { processes, definitions }: { processes: readonly WorkerProcess[]; definitions: readonly string[] },
): Promise<Advice[]> => {
  const hasRuby = processes.some(({ is_alive, job_classes }) => is_alive && job_classes === null)
  if (!hasRuby || definitions.some(isRunningIndex)) return []
  const keys = await findCrowdedKeys(db, facts, CROWDED)
  if (keys.length === 0) return []
  return [
    {
      text: `Ruby workers read ${plural(CROWDED, 'unfinished job')} or more of ${keys.join(', ')} before each start, to count those that run. An index of running jobs makes that count fast:`,
      statements: [RUNNING_INDEX.statement],
    },
  ]
}

const isRunningIndex = (definition: string): boolean =>
  definition.startsWith(`btree (${RUNNING_INDEX.columns})`) && definition.includes('performed_at IS NOT NULL')
