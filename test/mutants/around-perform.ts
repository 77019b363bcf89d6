import type { Mutant } from './mutant.ts'

/** Around `perform`: errors, the configuration of threads, the clock, and the locks of a lane. */
export const AROUND_PERFORM_MUTANTS: readonly Mutant[] = [
  {
    name: 'an error before perform fails its attempt',
    file: 'src/perform/job-performer.ts',
    text: 'return this.#decide(attempt, failureOf(error), systemClock)',
    replacement: 'throw error',
    tests: {
      'test/perform/around-perform.test.ts': ['an error between perform and the outcome fails the job, and'],
    },
  },
  {
    name: 'a retry at an invalid time is refused inside the job',
    file: 'src/perform/attempt/run.ts',
    text: 'if (scheduledAt !== null && !isTime(scheduledAt)) {',
    replacement: 'if (false as boolean) {',
    tests: { 'test/perform/around-perform.test.ts': ['a retry at an invalid time fails its job, and the worker'] },
  },
  {
    name: 'an outcome that a round cannot put into a statement is the completer’s',
    file: 'src/perform/deferred/round.ts',
    text: 'this.#others.push(...this.#ended)\n      this.#ended = []\n      return {',
    replacement: 'throw error\n      return {',
    tests: {
      'test/perform/around-perform.test.ts': ['with starts deferred by 20 ms an outcome that the round cannot write'],
    },
  },
  {
    name: 'the loop of a pool continues after an error',
    file: 'src/worker/pool/scheduler.ts',
    text: `        failures += 1
        this.#streamOf(lane).mayHaveWork = true
        this.#report(error)`,
    replacement: `        this.#report(error)
        return`,
    tests: { 'test/worker/loops.test.ts': ['an error in the loop of a pool is emitted, and the pool claims again as'] },
  },
  {
    name: 'timers and listeners report errors',
    file: 'src/guarded.ts',
    text: "      events.emit('worker_error', { processId, part, error })",
    replacement: '      throw error',
    tests: { 'test/worker/loops.test.ts': ['errors in handling a NOTIFY message and a poll end neither the process'] },
  },
  {
    name: 'the completer continues after an error',
    file: 'src/perform/outcome/completer.ts',
    text: '        failures += 1\n',
    replacement: '        throw error\n',
    tests: { 'test/perform/held-outcomes.test.ts': ['an error inside the completer is emitted, loses no outcome'] },
  },
  {
    name: 'a dead thread of the heartbeat is replaced',
    file: 'src/worker/heartbeat.ts',
    text: 'this.#restartTimer = after(backoffMs(this.#failures), restart).unref()',
    replacement: 'void restart',
    tests: { 'test/worker/heartbeat.test.ts': ['a heartbeat thread that dies is reported, and another thread'] },
  },
  {
    name: 'a thread requests the password of a password function',
    file: 'src/sql/threads/inside.ts',
    text: '  asksPassword ?',
    replacement: '  asksPassword && false ?',
    tests: { 'test/worker/pool-config.test.ts': ['the heartbeat thread requests its password'] },
  },
  {
    name: 'a thread has no connection that would be unchecked',
    file: 'src/sql/threads/config.ts',
    text: "const DECISIVE = ['ssl', 'stream', 'connection']",
    replacement: 'const DECISIVE: string[] = []',
    tests: { 'test/worker/pool-config.test.ts': ['is nothing when it would be another connection'] },
  },
  {
    name: 'a thread has the private key that pg hides',
    file: 'src/sql/threads/config.ts',
    text: 'Object.getOwnPropertyNames(value)',
    replacement: 'Object.keys(value)',
    tests: { 'test/worker/pool-config.test.ts': ['is every plain value, also those that pg hides'] },
  },
  {
    name: 'the clock follows a system clock that is set back',
    file: 'src/time.ts',
    text: ' || last - microseconds >= ADJUSTMENT_US',
    replacement: '',
    tests: { 'test/time.test.ts': ['after one reading that was 3600000 ms off'], 'test/worker/clock.test.ts': [] },
  },
  {
    name: 'timestamps increase within a second',
    file: 'src/time.ts',
    text: 'const ADJUSTMENT_US = 1_000_000',
    replacement: 'const ADJUSTMENT_US = 0',
    tests: { 'test/time.test.ts': ['timestamps keep increasing if the clock is set back by less than a second'] },
  },
  {
    name: 'a changed clock makes the pools query again',
    file: 'src/worker/watch/stall-watch.ts',
    text: '    onClockJumped()\n',
    replacement: '',
    tests: { 'test/worker/clock.test.ts': [] },
  },
  {
    name: 'scheduled times are queried again after the clock was set back',
    file: 'src/worker/pool/start-times.ts',
    text: ' && !this.#isSetBack(now.getTime())) return',
    replacement: ') return',
    tests: { 'test/worker/clock.test.ts': [] },
  },
  {
    name: 'a step without a function or method does not begin',
    file: 'src/job/continuation/continuation.ts',
    text: '    const run = body ?? (this.completed.includes(name) ? undefined : methodOf(this.#job, name))\n    if (this.isAdvanced) this.checkpoint()\n',
    replacement:
      '    if (this.isAdvanced) this.checkpoint()\n    const run = body ?? (this.completed.includes(name) ? undefined : methodOf(this.#job, name))\n',
    tests: { 'test/job/continuation-steps.test.ts': ['a step without a function or method fails at once: it is not'] },
  },
  {
    name: 'a cursor that cannot be stored keeps the previous one: the job',
    file: 'src/job/continuation/step.ts',
    text: `    this.#assertStorable(cursor)
    this.#cursor = cursor`,
    replacement: `    this.#cursor = cursor
    this.#assertStorable(cursor)`,
    tests: { 'test/job/continuation.test.ts': ['a cursor that cannot be stored keeps the previous one: the job'] },
  },
  {
    name: 'only a few limits lead to prepared statements',
    file: 'src/sql/claim/candidates.ts',
    text: '2 ** Math.ceil(Math.log2(limit))',
    replacement: 'limit',
    tests: { 'test/claim/candidates.test.ts': ['claim limits above queueSelectLimit lead to few prepared statements'] },
  },
  {
    name: 'a job that was taken while its round could not be written is lost',
    file: 'src/claim/lane.ts',
    text: '    if (lost.length > 0) this.#options.onClaimsLost(lost)',
    replacement: '',
    tests: { 'test/claim/lane-held.test.ts': ['a job that another worker took while its round could not be written'] },
  },
  {
    name: 'the end of a callback is checked, not written by its round',
    file: 'src/perform/deferred/round.ts',
    text: ' && row.batch_callback_id === null',
    replacement: '',
    tests: { 'test/perform/deferred-start.test.ts': ['batch members that end in one round complete their batch'] },
  },
  {
    name: 'a released job is lost, not discarded',
    file: 'src/perform/attempt/watch.ts',
    text: "    if (lostBy === 'released') attempt.lose(reason)",
    replacement: '    if (false as boolean) attempt.lose(reason)',
    tests: { 'test/operations/force-discard.test.ts': ['a job whose row is released while it runs'] },
  },
]
