import { type Contender, limitedTables } from '../contenders.ts'
import type { Suite } from '../run.ts'
import type { Rule } from '../workers/limited-job.ts'
import { MANY, measureEnqueue, nodeEnqueuer, ONE, rubyEnqueuer } from './enqueue.ts'

const MANY_KEYS = 1_000
/** Reached by none of the measurements: each job is counted and inserted. */
const COUNT = 10_000_000
const MINUTE_S = 60

const RULES: Readonly<Record<string, Rule>> = {
  'a key without a rule': { keys: MANY_KEYS },
  'totalLimit, 1,000 keys': { keys: MANY_KEYS, totalLimit: COUNT },
  'enqueueThrottle, 1,000 keys': { keys: MANY_KEYS, enqueueThrottle: [COUNT, MINUTE_S] },
  'totalLimit, one key': { keys: 1, totalLimit: COUNT },
  'enqueueThrottle, one key': { keys: 1, enqueueThrottle: [COUNT, MINUTE_S] },
}

const variants = (contender: Contender): Contender[] => [
  {
    ...contender,
    name: `${contender.name}, plain jobs`,
    key: { ...contender.key, rule: 'none' },
    family: 'plain jobs',
  },
  ...Object.entries(RULES).map(([text, rule]) => ({
    ...contender,
    name: `${contender.name}, ${text}`,
    key: { ...contender.key, rule: text },
    family: text,
    options: { ...contender.options, rule },
    tables: limitedTables(rule.keys),
  })),
]

/** GoodJob counts each job of a bulk with a limit by itself. */
const contenders = (): Contender[] => [
  ...variants(nodeEnqueuer()),
  ...variants(rubyEnqueuer()).map((contender) => ({ ...contender, share: 0.02 })),
]

/** What it costs to count before each insert. */
export const limitedEnqueueSuite: Suite = {
  name: 'limits-enqueue',
  group: 'limits',
  run: async (options) => [
    {
      id: 'limits-enqueue-one',
      title: 'Enqueueing one by one with a limit, one connection',
      unit: 'jobs/s',
      series: await measureEnqueue(options, contenders(), ONE),
    },
    {
      id: 'limits-enqueue-bulk',
      title: 'Enqueueing 1,000 with one call and a limit, one connection',
      unit: 'jobs/s',
      series: await measureEnqueue(options, contenders(), MANY),
    },
  ],
}
