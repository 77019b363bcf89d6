import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Job } from '../../src/job/base.ts'
import { cleanupPreservedJobs } from '../../src/maintenance/cleanup.ts'
import { systemClock } from '../../src/time.ts'
import { next, openWorld, performed, type World } from '../support/harness.ts'
import {
  differences,
  hasOwnerless,
  PERFORM_SCENARIOS,
  type Scenario,
  ScenarioRows,
  type VectorRows,
  type VectorRule,
  withOwners,
} from './concurrency-vectors.ts'

class VErr extends Error {
  static readonly rubyName = 'VErr'
}

/** What `perform` of the job under test did, and the rows that it found. */
const ran: unknown[] = []
const during: VectorRows[] = []
/** The rows of the scenario that is performed. */
let current: ScenarioRows | undefined

/** Arguments of the job under test, and the functions of rules that the vectors only call "callable". */
const CALLABLES: Readonly<Record<string, { readonly args: readonly [number]; readonly rule: object }>> = {
  P31: { args: [2], rule: { performLimit: (job: Job) => job.arguments[0] } },
  P32: { args: [9], rule: { label: (job: Job) => `u${job.arguments[0]}` } },
}

const ruleOf = (id: string, { label, perform_limit, total_limit, perform_throttle }: VectorRule) => ({
  ...(label === undefined ? {} : { label }),
  ...(typeof perform_limit === 'number' ? { performLimit: perform_limit } : {}),
  ...(typeof total_limit === 'number' ? { totalLimit: total_limit } : {}),
  ...(perform_throttle === undefined ? {} : { performThrottle: perform_throttle }),
  ...CALLABLES[id]?.rule,
})

const jobClassOf = ({ id, rules = {} }: Scenario) => {
  class VJob extends Job {
    static override queueAs = 'q'
    static {
      VJob.retryOn(VErr, { wait: 100, jitter: 0, attempts: 5 })
      if (rules.legacy !== undefined)
        VJob.controlConcurrencyWith({ ...ruleOf(id, rules.legacy), key: rules.legacy.key })
      for (const rule of rules.rules ?? []) VJob.concurrencyRule(ruleOf(id, rule))
    }

    override async perform(...args: unknown[]): Promise<void> {
      if (current !== undefined) during.push(await current.read())
      ran.push(`VJob ran ${JSON.stringify(args)}`)
      if (id === 'P24') throw new VErr('boom')
    }
  }
  return VJob
}

/** Runs after the job under test, since it was enqueued later into the same queue. */
class NextJob extends Job {
  static override queueAs = 'q'
  override perform(): void {}
}

let world: World
beforeAll(async () => {
  world = await openWorld()
})
afterAll(() => world.close())

/** A database of its own for a scenario without the table of claims; the others share one. */
const openEmpty = async ({ before }: Scenario): Promise<World> => {
  if (before.claims === 'absent') return openWorld()
  await world.sql(
    'TRUNCATE good_jobs, good_job_executions, good_job_batches, good_job_processes, good_job_concurrency_claims',
  )
  return world
}

const me = ({ before }: Scenario): string => before.jobs.find(({ job_class }) => job_class === 'VJob')?.id ?? 'me'

/** What a person does after the worker is gone. */
type Action = (world: World, id: string) => Promise<unknown>

/** Lets a worker in Node do what there is to do with the rows of a scenario. */
const perform = async (scenario: Scenario, action?: Action) => {
  const own = await openEmpty(scenario)
  const rows = new ScenarioRows(own)
  await rows.insert(scenario, CALLABLES[scenario.id]?.args ?? [])
  const before = await rows.read()
  current = rows
  during.length = 0
  ran.length = 0
  const capsule = await own.start({ jobs: [jobClassOf(scenario), NextJob], queues: 'q' })
  rows.name(capsule.processId, 'worker')
  if (scenario.ran.length > 0) await performed(rows.id(me(scenario)))
  const later = new NextJob()
  await own.adapter.enqueue(later)
  await performed(later.jobId)
  await capsule.shutdown()
  await action?.(own, rows.id(me(scenario)))
  const after = await rows.read()
  if (own !== world) await own.close()
  return { before, after }
}

/** A scenario that performs no job, by its id. */
const scenarioOf = (wanted: string): Scenario => {
  const scenario = PERFORM_SCENARIOS.find(({ id }) => id === wanted)
  if (scenario === undefined) throw new Error(`no scenario ${wanted}`)
  return scenario
}

const titleOf = ({ id, name }: Scenario): string => `${id}: ${name}`

const PERFORMED = PERFORM_SCENARIOS.filter(({ rules, before }) => rules !== undefined && before.jobs.length > 0)
const RUNS = PERFORMED.filter(({ ran: said }) => said.length > 0)
const REFUSED = PERFORMED.filter(({ ran: said }) => said.length === 0)

/** A job that waits by mistake would do so for minutes. */
const NOT_PERFORMED_MS = 40_000

describe('a job that Ruby runs is run by Node, with the same claims meanwhile and the same rows afterwards', () => {
  for (const scenario of RUNS) {
    test(
      titleOf(scenario),
      async () => {
        const { after } = await perform(scenario)
        expect(ran).toEqual(scenario.ran.filter((said) => typeof said === 'string'))
        expect(differences(scenario.after, after)).toEqual([])
        for (const claims of claimsDuring(scenario)) {
          expect(differences(onlyClaims(claims), onlyClaims(during[0]?.claims ?? []))).toEqual([])
        }
      },
      NOT_PERFORMED_MS,
    )
  }
})

const onlyClaims = (claims: VectorRows['claims']): VectorRows => ({ jobs: [], claims, executions: [] })

/** The claims that the vectors noted while the job ran. */
const claimsDuring = ({ ran: said }: Scenario): VectorRows['claims'][] =>
  said.flatMap((each) =>
    typeof each === 'object' && each !== null ? [(each as { during: VectorRows['claims'] }).during] : [],
  )

const columns = (row: string, names: readonly string[]): string[] => names.map((name) => `${row} ${name}`)
const claim = (key: string): string[] => columns(`claim me ${key}`, ['created_ago_s', 'locked_by', 'state'])

/** Ruby's refusal is an attempt that fails and is retried. Node starts no attempt: the row stays as it is, and in its place. */
const REFUSAL = [
  ...columns('job me', [
    'error',
    'error_event',
    'exception_executions',
    'executions',
    'executions_count',
    'scheduled_in_s',
  ]),
  ...columns('execution me 1', ['error', 'error_event', 'finished', 'process']),
]

/** Ruby's waiting claim says whom to wake. A worker in Node remembers the jobs that wait, and needs none. */
const WAITING: Readonly<Record<string, readonly string[]>> = {
  P12: claim('key:k'),
  P13: claim('all'),
  P14: claim('label:b'),
  P32: claim('label:u9'),
  P38: claim('key:k'),
  // A throttled job has none in Ruby, and neither has a job that is discarded. Without the table there are none.
  P15: [],
  P17: [],
  P42: [],
  N02: [],
  N03: [],
}

const ALSO_DIFFERENT: Readonly<Record<string, readonly string[]>> = {
  // Node takes a place in one scope when there is one in all of them, so it has none to pass on to the waiter of the first.
  P14: ['claim j2 label:a state', 'job j2 scheduled_in_s'],
  // Ruby replaces the claim on another key when it refuses the job.
  P28: claim('label:old'),
  // Ruby stores the key with the retry.
  P38: ['job me concurrency_key'],
  // A refusal that the class discards ends the job in Ruby. In Node the job waits.
  P42: columns('job me', ['finished', 'performed']),
}

/** Columns of a refusal that have the same value all the same. */
const NOT_DIFFERENT: Readonly<Record<string, readonly string[]>> = {
  // The retry was made due at once.
  P23: ['job me scheduled_in_s'],
  // Both are discarded manually, which is the last error.
  P36: columns('job me', ['error', 'error_event']),
  P42: columns('job me', ['exception_executions', 'executions', 'scheduled_in_s']),
}

const differencesOf = ({ id }: Scenario): string[] => {
  const all = [...REFUSAL, ...(WAITING[id] ?? claim('label:a')), ...(ALSO_DIFFERENT[id] ?? [])]
  return all.filter((name) => !NOT_DIFFERENT[id]?.includes(name)).sort()
}

const ACTIONS: Readonly<Record<string, Action>> = {
  P36: (world, id) => world.adapter.discardJob(id, 'by hand'),
}

describe('a job that Ruby refuses waits in Node, untouched', () => {
  for (const scenario of REFUSED.map(withOwners)) {
    test(titleOf(scenario), async () => {
      const { before, after } = await perform(scenario, ACTIONS[scenario.id])
      expect(ran).toEqual([])
      if (ACTIONS[scenario.id] === undefined) expect(differences(before, after)).toEqual([])
      expect(differences(scenario.after, after)).toEqual(differencesOf(scenario))
    })
  }
})

// GoodJob counts started jobs that no process holds. No perform() of such a job runs, and in Node two of them would keep each other waiting.
describe('a job runs in Node if no process holds the started jobs for which Ruby refuses it', () => {
  for (const scenario of REFUSED.filter(hasOwnerless)) {
    test(titleOf(scenario), async () => {
      await perform({ ...scenario, ran: ['it runs'] })
      expect(ran).toHaveLength(1)
    })
  }
})

test('P34: the worker that removes a dead process passes one of its places of each key on', async () => {
  const scenario = scenarioOf('P34')
  const own = await openEmpty(scenario)
  const rows = new ScenarioRows(own)
  await rows.insert(scenario, [])
  const released = next('processes_released')
  const capsule = await own.start({ jobs: [NextJob], queues: 'q' })
  await released
  await capsule.shutdown()
  expect(differences(scenario.after, await rows.read())).toEqual([])
})

test('P35: a cleanup of jobs deletes the claims of jobs that are finished or gone', async () => {
  const scenario = scenarioOf('P35')
  const own = await openEmpty(scenario)
  const rows = new ScenarioRows(own)
  await rows.insert(scenario, [])
  const { database } = own.adapter
  await cleanupPreservedJobs({ database, clock: systemClock, olderThanSeconds: 86_400, includesDiscarded: true })
  expect(differences(scenario.after, await rows.read())).toEqual([])
})

test('P37: performNow does not count', async () => {
  const scenario = scenarioOf('P37')
  await openEmpty(scenario)
  current = undefined
  ran.length = 0
  await jobClassOf(scenario).performNow()
  expect(ran).toEqual(scenario.ran)
})
