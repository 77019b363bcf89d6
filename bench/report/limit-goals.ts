import type { Goal } from './goals.ts'

const NODE = { library: 'good-job-node' } as const
const TWO = { ...NODE, threads: 2 } as const
const TEN = { ...NODE, threads: 10 } as const
const HUNDRED = { ...NODE, threads: 100 } as const
const NO_RULE = 'no rule'

/** CPU time of a job with a rule in comparison with one without. */
const cpuGoal = (name: string, key: typeof TEN | typeof HUNDRED, rule: string): Goal => ({
  name: `CPU of worker and server for each job, ${name}`,
  ours: [['limits-one-key-cpu'], { ...key, rule }],
  against: NO_RULE,
  theirs: [['limits-one-key-cpu'], { ...key, rule: NO_RULE }],
  atLeast: 1 / 3,
  isLess: true,
})

const enqueueGoal = (name: string, figure: string, rule: string, atLeast: number): Goal => ({
  name: `${name}, ${rule}`,
  ours: [[figure], { ...NODE, rule }],
  against: 'plain jobs',
  theirs: [[figure], { ...NODE, rule: 'none' }],
  atLeast,
})

/** What limits may cost, and what jobs that have to wait may cost the others. */
export const limitGoals: readonly Goal[] = [
  {
    name: 'one key, 10 threads, performLimit 10',
    ours: [['limits-one-key'], { ...TEN, rule: 'performLimit 10' }],
    against: 'the same jobs without a rule',
    theirs: [['limits-one-key'], { ...TEN, rule: NO_RULE }],
    atLeast: 0.5,
  },
  ...[10, 2].map(
    (limit): Goal => ({
      name: `one key, 10 threads, performLimit ${limit}`,
      ours: [['limits-one-key'], { ...TEN, rule: `performLimit ${limit}` }],
      against: 'GoodJob, 10 threads, its first minute',
      theirs: [['limits-one-key'], { library: 'good-job', rule: `performLimit ${limit}` }],
      atLeast: 500,
    }),
  ),
  cpuGoal('10 threads, performLimit 2', TEN, 'performLimit 2'),
  {
    ...cpuGoal('10 threads, performLimit 2', TEN, 'performLimit 2'),
    against: 'no rule, 2 threads',
    theirs: [['limits-one-key-cpu'], { ...TWO, rule: NO_RULE }],
  },
  cpuGoal('100 threads, performLimit 100', HUNDRED, 'performLimit 100'),
  {
    name: 'many keys, 100 threads, performLimit 1',
    ours: [['limits-many-keys'], { ...HUNDRED, rule: 'performLimit 1' }],
    against: 'the same jobs without a rule',
    theirs: [['limits-many-keys'], { ...HUNDRED, rule: NO_RULE }],
    atLeast: 0.6,
  },
  ...[10, 100].map(
    (threads): Goal => ({
      name: `jobs without a rule beside blocked ones, ${threads} threads`,
      ours: [['limits-beside'], { ...NODE, threads, place: 'beside blocked jobs' }],
      against: 'alone',
      theirs: [['limits-beside'], { ...NODE, threads, place: 'alone' }],
      atLeast: 0.9,
    }),
  ),
  {
    name: 'enqueue to start beside blocked jobs, p50',
    ours: [['limits-latency'], { ...NODE, place: 'beside blocked jobs', percentile: 'p50' }],
    against: 'alone',
    theirs: [['limits-latency'], { ...NODE, place: 'alone', percentile: 'p50' }],
    atLeast: 1 / 1.2,
    isLess: true,
  },
  {
    name: 'idle beside blocked jobs, transactions a second',
    ours: [['limits-idle-transactions'], { ...NODE, place: 'beside blocked jobs' }],
    against: 'limit',
    theirs: 1,
    atLeast: 1,
    isLess: true,
  },
  ...['totalLimit, 1,000 keys', 'enqueueThrottle, 1,000 keys'].map((rule) =>
    enqueueGoal('enqueue one by one', 'limits-enqueue-one', rule, 0.5),
  ),
  ...['totalLimit, one key', 'enqueueThrottle, one key', 'totalLimit, 1,000 keys'].map((rule) =>
    enqueueGoal('enqueue 1,000 at once', 'limits-enqueue-bulk', rule, 0.7),
  ),
]
