import type { Pairs } from './job-counts.ts'
import type { Operator } from './operator.ts'
import type { Verdict } from './verdict.ts'

export interface Report {
  readonly verdict: Verdict
  readonly violations: readonly string[]
  /** Jobs that ended only after their Ruby process had been stopped. */
  readonly rescued: number
  readonly faults: ReadonlyMap<string, number>
  readonly events: ReadonlyMap<string, number>
  readonly operator: Operator['counts']
}

const isRubyOnly = ({ pair }: Pairs): boolean => pair === 'ruby, ruby'

/** Every broken promise as a sentence. Conflicts between Ruby workers alone are not part of the promises. */
export const violationsOf = (verdict: Verdict, deserters: readonly string[]): string[] => {
  const { lost, overlaps, repeated, early, scopes, callbacks, openExecutions } = verdict
  const found: string[] = []
  const broken = (count: number, what: string) => {
    if (count > 0) found.push(`${count} ${what}`)
  }
  broken(lost, 'jobs lost')
  for (const each of overlaps.filter((pairs) => !isRubyOnly(pairs)))
    broken(each.unexplained, `overlapping attempts (${each.pair})`)
  for (const each of repeated.filter((pairs) => !isRubyOnly(pairs)))
    broken(each.unexplained, `attempts after a success (${each.pair})`)
  broken(early.node ?? 0, 'attempts in Node before their time')
  broken(openExecutions.node ?? 0, 'executions of Node that were never closed')
  for (const { scope, limit, exceeded } of scopes) broken(exceeded, `starts beyond the limit ${limit} of ${scope}`)
  for (const { batches, event, missing, duplicated, invented } of callbacks) {
    broken(missing, `${event} callbacks of ${batches} batches missing`)
    broken(duplicated, `${event} callbacks of ${batches} batches given twice`)
    broken(invented, `${event} callbacks of ${batches} batches that were not owed`)
  }
  const nodes = deserters.filter((name) => /^(node|deferred)-/.test(name))
  broken(nodes.length, `workers in Node ended by themselves: ${nodes.join(', ')}`)
  return found
}

/** Prints the faults, the events and the verdict. */
export const printReport = (report: Report): void => {
  const { verdict, violations, rescued, faults, events, operator } = report
  const { jobs, attempts, interrupted, lost, spoilt, early } = verdict
  console.log('\nFaults')
  console.table(Object.fromEntries(faults))
  console.log('Events of workers in Node')
  console.table(Object.fromEntries(events))
  console.log('Actions of the operator')
  console.table(operator)
  console.log('Ledger')
  console.table({
    jobs,
    'attempts in Node': attempts.node ?? 0,
    'attempts in Ruby': attempts.ruby ?? 0,
    'attempts that were interrupted': interrupted,
    'jobs lost': lost,
    'jobs done that Ruby workers left discarded': spoilt,
    'attempts in Node before their time': early.node ?? 0,
    'attempts in Ruby before their time': early.ruby ?? 0,
    'jobs that a Ruby process kept until it was stopped': rescued,
  })
  console.log('Overlapping attempts: the earlier, the later')
  console.table(verdict.overlaps)
  console.log('Attempts after a success: the earlier, the later')
  console.table(verdict.repeated)
  console.log('Scopes of concurrency rules')
  console.table(verdict.scopes)
  console.log('Milliseconds from a kill -9, or from its expiry, to the next attempt of each job that it cut off')
  console.table(verdict.reruns)
  console.log('Callbacks of batches')
  console.table(verdict.callbacks)
  for (const history of verdict.histories) console.log(history)
  console.log(violations.length === 0 ? 'Every promise was kept.' : `BROKEN: ${violations.join('; ')}`)
}
