import { pc } from '../../colors.ts'
import { COMPUTED, type PublishedRule } from '../../job/concurrency/published.ts'
import type { ScopeList, ScopeUse, ShownHolder, ShownScope } from '../../maintenance/concurrency/scopes.ts'
import { agoText, table } from '../output.ts'

/** The scopes in use as a table. */
export const drawScopes = ({ scopes, hasMore, isCapped, throttlesCounted }: ScopeList, now: Date): string => {
  if (scopes.length === 0) return 'No job is in the scope of a known concurrency rule.'
  const rows = scopes.map((scope) => [
    scope.key,
    runningText(scope),
    limitText(scope.rules),
    waitingText(scope.waiting, isCapped),
    throttleText(scope, throttlesCounted, now),
    claimsText(scope.claims),
  ])
  const notes = [
    ...(isCapped ? ['Only the first waiting jobs were counted; each number of waiting jobs is a minimum.'] : []),
    ...(hasMore ? ['There are more scopes: --limit prints more of them.'] : []),
  ]
  return [table(['scope', 'running', 'limit', 'waiting', 'throttle', 'claims'], rows), ...notes].join('\n')
}

const runningText = ({ running, rules }: Pick<ScopeUse, 'running' | 'rules'>): string => {
  const isFull = rules.some(({ limit }) => typeof limit === 'number' && running >= limit)
  return isFull ? pc.yellow(`${running} (full)`) : String(running)
}

/** Classes may limit one scope differently. */
const limitText = (rules: readonly PublishedRule[]): string =>
  [...new Set(rules.flatMap(({ limit }) => (limit === null ? [] : String(limit))))].join(' / ') || '–'

const waitingText = (waiting: number, isCapped: boolean): string => (isCapped ? `${waiting} or more` : String(waiting))

const throttleText = ({ rules, throttledUntil }: ScopeUse, isCounted: boolean, now: Date): string => {
  const throttles = rules.flatMap(({ throttle }) => {
    if (throttle === null) return []
    return throttle === COMPUTED ? COMPUTED : `${throttle.count} in ${throttle.seconds} s`
  })
  if (throttles.length === 0) return '–'
  const text = [...new Set(throttles)].join(' / ')
  if (!isCounted) return `${text}, not counted in time`
  return throttledUntil === null ? text : pc.yellow(`${text}, next start ${agoText(throttledUntil, now)}`)
}

const claimsText = (claims: ScopeUse['claims']): string => {
  if (claims === null) return '–'
  const states = ['granted', 'waiting', 'promoted'] as const
  return states.flatMap((state) => (claims[state] > 0 ? [`${claims[state]} ${state}`] : [])).join(', ')
}

/** One scope with its jobs. */
export const drawScope = (scope: ShownScope, now: Date): string => {
  const { key, running, waiting, isCapped, rules, holders, next, refused, claims } = scope
  const lines: (readonly [string, string])[] = [
    ['running', `${runningText(scope)}, limit ${limitText(rules)}`],
    ['waiting', waitingText(waiting, isCapped)],
    ['throttle', throttleText(scope, scope.throttlesCounted, now)],
    ['claims', claimsText(claims)],
    ...rules.map((rule) => ['rule', ruleText(rule)] as const),
  ]
  return [
    pc.bold(key),
    ...lines.map(([name, text]) => `  ${pc.dim(name.padEnd(11))} ${text}`),
    '',
    holders.length === 0 ? 'No job runs in this scope.' : holdersTable(holders, now),
    ...(holders.length < running ? [`… and ${running - holders.length} more`] : []),
    '',
    next.length === 0 ? 'No due job waits.' : nextTable(next, now),
    ...(refused.length === 0 ? [] : ['', refusedTable(refused, now)]),
  ].join('\n')
}

const ruleText = ({ job_class, limit, throttle }: PublishedRule): string => {
  const parts = [
    ...(limit === null ? [] : [`limit ${limit}`]),
    ...(throttle === null
      ? []
      : [throttle === COMPUTED ? 'throttle computed' : `${throttle.count} in ${throttle.seconds} s`]),
  ]
  return `${job_class ?? 'configuration of a worker'}: ${parts.join(', ')}`
}

const holdersTable = (holders: readonly ShownHolder[], now: Date): string =>
  table(
    ['running job', 'class', 'process', 'since'],
    holders.map(({ id, job_class, process, locked_by_id, performed_at }) => [
      id,
      job_class ?? '–',
      process === null ? locked_by_id : `${process.hostname}:${process.pid}`,
      agoText(performed_at, now),
    ]),
  )

const nextTable = (next: ShownScope['next'], now: Date): string =>
  table(
    ['next job', 'class', 'queue', 'priority', 'due'],
    next.map(({ id, job_class, queue_name, priority, scheduled_at }) => [
      id,
      job_class ?? '–',
      queue_name ?? '–',
      String(priority ?? '–'),
      agoText(scheduled_at, now),
    ]),
  )

const refusedTable = (refused: ShownScope['refused'], now: Date): string =>
  table(
    ['refused by a Ruby worker', 'state', 'since'],
    refused.map(({ job_id, state, created_at }) => [job_id, state, agoText(created_at, now)]),
  )
