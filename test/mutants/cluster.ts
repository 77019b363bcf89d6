import type { Mutant } from './mutant.ts'

const SUPERVISOR = 'test/cluster/supervisor.test.ts'
const PARTS = 'test/cluster/parts.test.ts'
const START = 'test/cluster/start.test.ts'
const RESTART = 'test/worker/restart.test.ts'

/** Several processes: what is replaced, what ends, and with which code; and a capsule that starts again. */
export const CLUSTER_MUTANTS: readonly Mutant[] = [
  {
    name: 'subprocesses that fail to start are not started in a loop',
    file: 'src/cluster/restarts.ts',
    text: 'restartCount < 2 ? 0 : Math.min(MIN_DELAY * 2 ** (restartCount - 2), MAX_DELAY)',
    replacement: 'restartCount * 0 * (MIN_DELAY + MAX_DELAY)',
    tests: {
      [SUPERVISOR]: ['waits longer before each subprocess that fails'],
      [PARTS]: ['the delay before a replacement'],
    },
  },
  {
    name: 'a subprocess that never worked has failed to start, however long it lived',
    file: 'src/cluster/restarts.ts',
    text: ' || !wasReady',
    replacement: ' || (wasReady && false)',
    tests: { [PARTS]: ['that was never ready'] },
  },
  {
    name: 'a replacement has the number of the one that ended',
    file: 'src/cluster/supervisor.ts',
    text: 'fork: () => fork(index),',
    replacement: 'fork: () => fork(index * 0),',
    tests: { [SUPERVISOR]: ['replaces a killed subprocess at once'] },
  },
  {
    name: 'a supervisor that stops replaces none',
    file: 'src/cluster/supervisor.ts',
    text: "if (this.#state === 'running') handle.start()",
    replacement: 'handle.start()',
    tests: { [SUPERVISOR]: ['before a fork does not fork any more'] },
  },
  {
    name: 'a refused start ends the supervisor',
    file: 'src/cluster/supervisor.ts',
    text: 'this.#fail(refusal.code)',
    replacement: '',
    tests: { [SUPERVISOR]: ['ends also when a replacement is refused'] },
  },
  {
    name: 'the exit code tells of a subprocess that failed during the shutdown',
    file: 'src/cluster/supervisor.ts',
    text: "if (this.#state !== 'killing' && end.status !== 0 && !isUnbegun) this.#fail(1)",
    replacement: "if (this.#state !== 'killing' && end.status !== 0 && !isUnbegun) this.#fail(0)",
    tests: { [SUPERVISOR]: ['exits with 1 when a subprocess ends with 1'] },
  },
  {
    name: 'the exit code tells of subprocesses that could not start',
    file: 'src/cluster/supervisor.ts',
    text: 'handle.restartCount > 1)) this.#code = 1',
    replacement: 'handle.restartCount > 1)) this.#code = 0',
    tests: { [SUPERVISOR]: ['waits longer before each subprocess that fails'] },
  },
  {
    name: 'subprocesses are killed only after the timeout and its grace',
    file: 'src/cluster/supervisor.ts',
    text: 'this.#escalateAfter(shutdownTimeoutMs + this.#graceMs)',
    replacement: 'this.#escalateAfter(shutdownTimeoutMs)',
    tests: { [SUPERVISOR]: ['kills a subprocess that does not end within the timeout'] },
  },
  {
    name: 'a second request reaches the subprocesses',
    file: 'src/cluster/supervisor.ts',
    text: "handle.send({ type: 'abort' })",
    replacement: 'void handle',
    tests: { [SUPERVISOR]: ['without a timeout waits; asked again'] },
  },
  {
    name: 'a report about health becomes stale',
    file: 'src/cluster/child-health.ts',
    text: 'this.#reportedMs <= STALE_MS ?',
    replacement: 'this.#reportedMs <= STALE_MS + Number.POSITIVE_INFINITY ?',
    tests: {
      [SUPERVISOR]: ['a stopped subprocess is not replaced'],
      [PARTS]: ['is that of the last report, for 15 s'],
    },
  },
  {
    name: 'the health of a process that ended is not that of the next one',
    file: 'src/cluster/subprocess-handle.ts',
    text: 'this.health.forget()',
    replacement: '',
    tests: { [SUPERVISOR]: ['is not ready while a replacement has not reported'] },
  },
  {
    name: 'messages of job code are ignored',
    file: 'src/cluster/messages.ts',
    text: "typeof message?.type === 'string' ? message : undefined",
    replacement: '(message ?? value) as M',
    tests: { [SUPERVISOR]: ['announces its subprocesses once'] },
  },
  {
    name: 'groups of queues win over the number of subprocesses',
    file: 'src/cluster/plan.ts',
    text: 'const isGrouped = groups.length > 1',
    replacement: 'const isGrouped = groups.length > 1 && subprocesses === 0',
    tests: { [PARTS]: ['the plan of a cluster'] },
  },
  {
    name: 'a supervisor loads no client of Postgres',
    file: 'src/cli/program.ts',
    text: "=== 'start') {",
    replacement: "=== 'begin') {",
    tests: { [START]: ['runs processes with titles and rows of their own'] },
  },
  {
    name: 'only the first subprocess enqueues cron jobs',
    file: 'src/cli/start/work.ts',
    text: 'index === 0 ? {} : { enableCron: false }',
    replacement: 'index < 0 ? { enableCron: false } : {}',
    tests: { [START]: ['runs processes with titles and rows of their own'] },
  },
  {
    name: 'the subprocesses of a killed supervisor end',
    file: 'src/cli/start/supervisor-link.ts',
    text: "process.on('disconnect', onGone)",
    replacement: '',
    tests: { [START]: ['whose supervisor is killed'] },
  },
  {
    name: 'a signal to every process is one request to a subprocess',
    file: 'src/cli/start/run-until-end.ts',
    text: 'if (this.#link !== undefined) return\n',
    replacement: '\n',
    tests: { [START]: ['gives each group of queues a process'] },
  },
  {
    name: 'a refusal of a subprocess is printed once',
    file: 'src/cli/start/work.ts',
    text: 'if (!(await link.refuse(text, code))) process.stderr.write(text)',
    replacement: 'process.stderr.write(text)',
    tests: { [START]: ['a module that does not load ends with the code'] },
  },
  {
    name: 'an error of a hook is not fatal',
    file: 'src/cli/start/hooks.ts',
    text: "events.emit('worker_error', { part: `hook ${name}`, error })",
    replacement: 'throw error',
    tests: { [START]: ['calls the hooks of its module before each fork'] },
  },
  {
    name: 'a restart waits for jobs that ignore their signal',
    file: 'src/worker/capsule.ts',
    text: '    await this.#lastJobs\n',
    replacement: '',
    tests: { [RESTART]: ['a job that ignores its signal delays the start'] },
  },
  {
    name: 'a shutdown during a restart wins',
    file: 'src/worker/capsule.ts',
    text: "if (!isWanted()) throw new GoodJobError('this capsule was shut down while it restarted')",
    replacement: 'void isWanted',
    tests: { [RESTART]: ['a shutdown during a restart wins'] },
  },
  {
    name: 'a capsule that restarts can abort its jobs again',
    file: 'src/worker/capsule.ts',
    text: '    this.#abort = new AbortController()\n    this.#isStoppedCleanly',
    replacement: '    this.#isStoppedCleanly',
    tests: { [RESTART]: ['an abort of the last shutdown does not reach the next one'] },
  },
]
