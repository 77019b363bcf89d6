import type { Mutant } from './mutant.ts'

const RECOVERY = 'test/claim/lane-recovery.test.ts'
const USELESS = 'a lane that connects but cannot take its locks back waits longer'
const ENDING = 'a lane whose sessions end right after they took their locks back'
const LOOKING = 'an outage that begins while a pool fetches scheduled times'
const STARTS = 'test/worker/start-steps.test.ts'
const HEARTBEAT = 'test/worker/heartbeat.test.ts'
const PARTS = 'test/worker/parts.test.ts'
const STOPS = 'test/worker/shutdown-deadline.test.ts'

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
    file: 'src/sql/threads/round-thread.ts',
    text: 'after(limitMs, () => inTurn(startAll))',
    replacement: 'setTimeout(() => inTurn(startAll), limitMs)',
    tests: { 'test/worker/long-times.test.ts': [] },
  },
  {
    name: 'a lane that recovers without success pauses',
    file: 'src/claim/lane-recovery.ts',
    text: 'if (this.#failures > 1) await sleep(backoffMs(this.#failures - 1), this.#closing)',
    replacement: '',
    tests: { [RECOVERY]: [USELESS, ENDING] },
  },
  {
    name: 'a session without an answer counts as a failure',
    file: 'src/claim/lane-recovery.ts',
    text: '    this.#failures += 1\n    // A standby',
    replacement: '    // A standby',
    tests: { [RECOVERY]: [ENDING] },
  },
  {
    name: 'a recovery continues, and no second one begins beside it',
    file: 'src/claim/lane.ts',
    text: "if (!this.isReady) return\n    this.#enter('recovering')",
    replacement: "if (this.#state === 'closed') return\n    this.#enter('recovering')",
    tests: { [RECOVERY]: [USELESS] },
  },
  {
    name: 'a new session reads the facts of the tables itself',
    file: 'src/claim/lane-recovery.ts',
    text: 'await database.facts(this.#session)',
    replacement: 'await database.facts()',
    tests: { [RECOVERY]: ['a lane takes its locks back while the pool has no connection to lend'] },
  },
  {
    name: 'connections of the pool that died with a session are ended',
    file: 'src/claim/lane.ts',
    text: 'void database.dropDeadConnections()',
    replacement: '',
    tests: {
      [RECOVERY]: ['after a silent outage a statement of the pool gets a live'],
    },
  },
  {
    name: 'queries of a pool besides its claims are not awaited longer than the lane lives',
    file: 'src/claim/lane-patience.ts',
    text: 'await endsWithin(answer, PATIENCE_MS, lane.sessionEnd)',
    replacement: 'await endsWithin(answer, 60_000)',
    tests: { [RECOVERY]: [LOOKING] },
  },
  {
    name: 'the connect timeout also ends an attempt under way',
    file: 'src/sql/connection/reach.ts',
    text: 'if (await deadline.allows(ask(), { signal })) return',
    replacement: 'await ask()\n      return',
    tests: {
      [STARTS]: ['with a server that sends nothing', 'with a server that accepts every login and answers no statement'],
    },
  },
  {
    name: 'a signal ends a connection attempt under way',
    file: 'src/sql/connection/reach.ts',
    text: 'deadline.allows(ask(), { signal })',
    replacement: 'deadline.allows(ask())',
    tests: { [STARTS]: ["with a caller's pool that never has a free connection"] },
  },
  {
    name: 'a start through a pooler that cannot reach its server is tried again',
    file: 'src/sql/connection/reach.ts',
    text: 'isRetryable(error) || sqlState(error) === PROTOCOL_VIOLATION',
    replacement: 'isRetryable(error) && sqlState(error) !== PROTOCOL_VIOLATION',
    tests: { [STARTS]: ['a connection through a pooler that cannot reach its server is tried again'] },
  },
  {
    name: 'a connection that is being opened is dropped at the end',
    file: 'src/sql/connection/session.ts',
    text: 'this.#closing.abort()\n',
    replacement: '',
    tests: {
      'test/sql/connection.test.ts': ['a session closed while it connects drops its connection at once'],
    },
  },
  {
    name: 'a worker that polls starts without LISTEN',
    file: 'src/worker/part-list.ts',
    text: 'if (isPolling) await',
    replacement: 'if (isPolling && (false as boolean)) await',
    tests: { [STARTS]: ['a worker starts without LISTEN if the server answers every session except the listener'] },
  },
  {
    name: 'a worker that finds jobs by LISTEN alone does not start without it',
    file: 'src/worker/notifier.ts',
    text: 'if (!isPolling) return this.#listen()',
    replacement: '',
    tests: { [STARTS]: ['a worker that finds jobs by LISTEN alone fails to start without it, and leaves nothing'] },
  },
  {
    name: 'a connection that was lost as it began to listen does not count as listening',
    file: 'src/worker/notifier.ts',
    text: "if (!this.#session.isConnected) throw new Error('the connection was lost as it began to listen')",
    replacement: '',
    tests: { [STARTS]: ['a connection that ends with the answer to LISTEN counts as a failed attempt, and another'] },
  },
  {
    name: 'a process row written after the stop is deleted again',
    file: 'src/worker/capsule-tracker.ts',
    text: '      await database.statement((db) => removeProcess(db, processId))\n      return',
    replacement: '      return',
    tests: { [STOPS]: ['a process row written after its process was stopped is deleted again'] },
  },
  {
    name: 'a worker that does not listen keeps trying',
    file: 'src/worker/notifier.ts',
    text: 'first.catch((error) => this.#tryAgain(error))',
    replacement: 'first.catch(() => undefined)',
    tests: {
      [STARTS]: ['a worker without a connection for LISTEN starts, emits notifier_listen_failed, polls, and listens'],
    },
  },
  {
    name: 'an abandoned start deletes its process row',
    file: 'src/worker/capsule.ts',
    text: '    await this.#worker?.parts.stop(new Deadline(0))\n',
    replacement: '',
    tests: { [STARTS]: ['a worker that finds jobs by LISTEN alone fails to start without it, and leaves nothing'] },
  },
  {
    name: 'outcomes that cannot be written are abandoned in time',
    file: 'src/worker/part-list.ts',
    text: 'deadline.allows(performer.drained(), { graceMs: GRACE_MS.outcomes })',
    replacement: 'performer.drained().then(() => true)',
    tests: { [STOPS]: ['beside a lock on good_jobs ends two seconds after the timeout, and reports the outcomes'] },
  },
  {
    name: 'outcomes that are being written get time after the deadline',
    file: 'src/worker/part-list.ts',
    text: '{ graceMs: GRACE_MS.outcomes }',
    replacement: '{ graceMs: 0 }',
    tests: {
      'test/cli/shutdown.test.ts': [
        'with a slow Postgres still writes the outcomes of ended jobs, also with a timeout of 0, and the exit code is',
      ],
    },
  },
  {
    name: 'a process row that cannot be deleted is abandoned in time',
    file: 'src/worker/part-list.ts',
    text: 'deadline.allows(tracker.stop(), { graceMs: STOP_GRACE_MS, patienceMs })',
    replacement: 'tracker.stop().then(() => true)',
    tests: { [STOPS]: ["a caller's pool without a free connection does not delay the shutdown"] },
  },
  {
    name: 'an abort is the deadline',
    file: 'src/deadline.ts',
    text: "else cut?.addEventListener('abort', () => this.#come(), { once: true })",
    replacement: '',
    tests: { [STOPS]: ['abort() sets the deadline of a shutdown without a timeout'] },
  },
  {
    name: 'a cleanup that waits for a lock does not keep the process row',
    file: 'src/worker/capsule-tracker.ts',
    text: 'endsWithin(this.#cleaning, CLEANING_MS)',
    replacement: 'this.#cleaning',
    tests: { [STOPS]: ['a cleanup that waits for a lock does not keep a stopping process from deleting its row'] },
  },
  {
    name: 'a job that is retried while it runs is claimed when its previous attempt has released its lock',
    file: 'src/worker/pool/pools.ts',
    text: "if (as !== 'written' || write === 'rerun') this.wake()",
    replacement: "if (write === 'rerun') this.wake()",
    tests: {
      'test/operations/force-discard.test.ts': [
        'a job that is retried while it runs starts again when its lock is free, without a poll: lanes 1',
      ],
    },
  },
  {
    name: 'the thread of the heartbeat is started before jobs begin',
    file: 'src/worker/capsule-tracker.ts',
    text: '    this.#heartbeat?.start()\n',
    replacement: '',
    tests: { [HEARTBEAT]: ['a worker starts the heartbeat thread while its first job runs, and ends it at shutdown'] },
  },
  {
    name: 'a worker notifies its guards that jobs are about to begin',
    file: 'src/worker/capsule-parts.ts',
    text: '    () => tracker.startHeartbeat(),\n',
    replacement: '',
    tests: { [HEARTBEAT]: ['a worker starts the heartbeat thread while its first job runs, and ends it at shutdown'] },
  },
  {
    name: 'a heartbeat does not wait for a cleanup',
    file: 'src/worker/capsule-tracker.ts',
    text: 'this.#beating = this.#beating.then(() => this.#beat())',
    replacement: 'this.#beating = Promise.all([this.#beating, this.#cleaning]).then(() => this.#beat())',
    tests: { [HEARTBEAT]: ['a heartbeat from the event loop does not wait for a cleanup that waits for a lock'] },
  },
  {
    name: 'parts stop in the reverse order of their start',
    file: 'src/worker/part.ts',
    text: 'this.#begun.splice(0).reverse()',
    replacement: 'this.#begun.splice(0)',
    tests: { [PARTS]: ['start in the order of the list and stop in reverse'] },
  },
  {
    name: 'a part whose start failed is stopped, too',
    file: 'src/worker/part.ts',
    text: '      this.#begun.push(part)\n      await part.start(context)\n',
    replacement: '      await part.start(context)\n      this.#begun.push(part)\n',
    tests: { [PARTS]: ['that have begun are stopped in reverse after a failed start, including the failed part, and'] },
  },
  {
    name: 'an aborted start ends between two parts',
    file: 'src/worker/part.ts',
    text: '      context.signal.throwIfAborted()\n',
    replacement: '',
    tests: { [PARTS]: ['that follow are not started once the signal is aborted'] },
  },
  {
    name: 'parts that a job still needs stop after it',
    file: 'src/worker/part.ts',
    text: 'if (jobs !== undefined && part.servesJobs) needed.push(part)',
    replacement: 'if (false as boolean) needed.push(part)',
    tests: {
      [PARTS]: ['that serve jobs stop after the jobs, even if those ignore their signal; all others stop before, with'],
      [STOPS]: ['a job that ends long after the shutdown still writes its outcome, and the process row is deleted'],
    },
  },
  {
    name: 'LISTEN ends as soon as the shutdown begins',
    file: 'src/worker/part-list.ts',
    text: "signal.addEventListener('abort', () => void stop().catch(() => undefined), { once: true })",
    replacement: 'void signal',
    tests: { [PARTS]: ['makes a worker listen before it claims, and end LISTEN as soon as the shutdown begins'] },
  },
]
