import type { Mutant } from './mutant.ts'

const RECOVERY = 'test/claim/lane-recovery.test.ts'
const USELESS =
  'a lane that connects but cannot take its locks back waits longer each time, says so, and keeps its jobs'
const ENDING = 'a lane whose sessions end as soon as they have their locks back waits longer each time, too'
const OUTAGE = 'after an outage that nobody announced, no connection of the pool that died in it is waited for'
const LOOKING = 'an outage that begins while a pool looks ahead keeps nothing up when it is over'

/** How a worker starts, stops, and comes back. */
export const WORKER_MUTANTS: readonly Mutant[] = [
  {
    name: 'no timer is longer than Node can count',
    file: 'src/time.ts',
    text: 'Math.min(Math.max(ms, 0), MAX_TIMER_MS)',
    replacement: 'Math.max(ms, 0)',
    tests: { 'test/time.test.ts': [], 'test/worker/long-times.test.ts': [] },
  },
  {
    name: 'a time that Postgres does not know is never asked for',
    file: 'src/time.ts',
    text: 'new Date(Math.min(Math.max(epochMs + ms, FIRST_MS), LAST_MS))',
    replacement: 'new Date(epochMs + ms)',
    tests: { 'test/time.test.ts': [], 'test/worker/long-times.test.ts': [] },
  },
  {
    name: 'the timer of a round is not longer than Node can count',
    file: 'src/sql/round-thread.js',
    text: 'Math.min(limitMs, MAX_TIMER_MS)',
    replacement: 'limitMs',
    tests: { 'test/worker/long-times.test.ts': [] },
  },
  {
    name: 'a lane that gets nowhere pauses',
    file: 'src/claim/lane.ts',
    text: 'if (this.#failures > 1) await sleep(backoffMs(this.#failures - 1), signal)',
    replacement: '',
    tests: { [RECOVERY]: [USELESS, ENDING] },
  },
  {
    name: 'a session without an answer counts as one of no use',
    file: 'src/claim/lane.ts',
    text: "    this.#state = 'recovering'\n    this.#failures += 1",
    replacement: "    this.#state = 'recovering'",
    tests: { [RECOVERY]: [ENDING] },
  },
  {
    name: 'a recovery goes on, and is not begun beside itself',
    file: 'src/claim/lane.ts',
    text: "if (this.#state !== 'ready') return\n    this.#state = 'recovering'",
    replacement: "if (this.#state === 'closed') return\n    this.#state = 'recovering'",
    tests: { [RECOVERY]: [USELESS] },
  },
  {
    name: 'a session that was just opened is asked itself what the tables are like',
    file: 'src/claim/lane-session.ts',
    text: 'await database.facts(session)',
    replacement: 'await database.facts()',
    tests: { [RECOVERY]: [OUTAGE] },
  },
  {
    name: 'connections of the pool that died with a session are ended',
    file: 'src/claim/lane.ts',
    text: 'void database.dropDeadConnections()',
    replacement: '',
    tests: { [RECOVERY]: [OUTAGE] },
  },
  {
    name: 'what a pool asks beside its claims is not waited for longer than the lane lives',
    file: 'src/worker/scheduler.ts',
    text: 'await endsWithin(answer, PATIENCE_MS, lane.sessionEnd)',
    replacement: 'await endsWithin(answer, 60_000)',
    tests: { [RECOVERY]: [LOOKING] },
  },
]
