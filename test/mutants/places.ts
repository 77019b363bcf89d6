import type { Mutant } from './mutant.ts'

const DECISION = 'test/limits/decision.test.ts'
const LIST = 'test/limits/waiting-list.test.ts'
const WAITING = 'test/limits/waiting.test.ts'
const FAULTS = 'test/limits/faults.test.ts'

/** No limit is exceeded, and no place stays free beside a job that waits for it. */
export const PLACES_MUTANTS: readonly Mutant[] = [
  {
    name: 'an admission counts under the locks of its scopes',
    file: 'src/sql/concurrency/admission.ts',
    text: 'const texts = [BEGIN, `SET LOCAL lock_timeout = ${SCOPE_LOCK_MS}`, ...releases, ...locks, ...tries, counting]',
    replacement: 'const texts = [BEGIN, `SET LOCAL lock_timeout = ${SCOPE_LOCK_MS}`, counting]',
    tests: { [FAULTS]: ['over two processes with two pools and two lanes each'] },
  },
  {
    name: 'a started job takes a place in each scope that its row shows',
    file: 'src/perform/limits/decision.ts',
    text: 'for (const claimKey of scopesOfRow(row)) this.#taken',
    replacement: 'for (const claimKey of [] as string[]) this.#taken',
    tests: { [DECISION]: ['a rule counts every job that carries its label, whatever the rules of that job'] },
  },
  {
    name: 'a scope whose lock another session holds holds back only its own jobs',
    file: 'src/claim/admission.ts',
    text: '(await Admission.#tryToOpen(lane, scopes.map(asBusy), readFacts))',
    replacement: 'undefined',
    tests: { [WAITING]: ['while another session keeps the lock of their scope'] },
  },
  {
    name: 'the places of a scope whose lock is held are not given away',
    file: 'src/perform/limits/decision.ts',
    text: '!this.#isBusy(rule) && this.#hasPlace(rule)',
    replacement: 'this.#hasPlace(rule)',
    tests: { [DECISION]: ['a scope whose lock another session holds holds back only its own jobs'] },
  },
  {
    name: 'a place that becomes free while places are counted is not lost',
    file: 'src/perform/limits/waiting-list.ts',
    text: 'this.#setFree(gate, this.#counting.get(gate.claimKey)?.freed ?? false)',
    replacement: 'this.#setFree(gate, false)',
    tests: { [LIST]: ['while the places are counted, also of a scope in which no job waited before'] },
  },
  {
    name: 'the place of a job that could not be started is free',
    file: 'src/perform/limits/waiting-list.ts',
    text: '        this.free(claimKey)\n        for (const gate of this.#gatesOfScope.get(claimKey) ?? []) this.#forgetShown(gate)',
    replacement: '        for (const gate of this.#gatesOfScope.get(claimKey) ?? []) this.#forgetShown(gate)',
    tests: { [LIST]: ['leaves its place to the next, which is read again'] },
  },
  {
    name: 'claims find a job again that could not be started',
    file: 'src/perform/limits/waiting-list.ts',
    text: 'this.#leaveOutSince(this.#skipped.passTime(nowMs))',
    replacement: 'this.#skipped.passTime(nowMs)',
    tests: { [LIST]: ['a job that could not be started, until its time is over'] },
  },
  {
    name: 'jobs wait by scope, limit and throttle',
    file: 'src/perform/limits/gate.ts',
    text: 'JSON.stringify([scope.claimKey, limit, throttle?.count, throttle?.seconds])',
    replacement: 'JSON.stringify([scope.claimKey, limit === null, throttle === null])',
    tests: {
      [LIST]: ['for jobs of each limit: those that are refused again do not hide the others'],
      [WAITING]: ['of a class with a larger limit on the same scope'],
    },
  },
  {
    name: 'a job that may have come before those that are known is read before they start',
    file: 'src/perform/limits/waiting-list.ts',
    text: '(jobs.length === 0 || (isRereading && isStale))',
    replacement: 'jobs.length === 0',
    tests: { [LIST]: ['after a wake-up, because an urgent job may have come'] },
  },
  {
    name: 'a wake-up during a reading is not lost',
    file: 'src/perform/limits/waiting-list.ts',
    text: 'const hasMore = !isAll || isCut || hasNews',
    replacement: 'const hasMore = !isAll || isCut',
    tests: { [LIST]: ['again if a wake-up came meanwhile'] },
  },
  {
    name: 'a reading leaves out the jobs that lack another place',
    file: 'src/perform/limits/waiting-list.ts',
    text: 'exclusionsOf(this.closed, [...this.#skipped.ids, ...known])',
    replacement: 'exclusionsOf([], [...this.#skipped.ids, ...known])',
    tests: { [LIST]: ['without those that lack a place elsewhere'] },
  },
  {
    name: 'a count that is due does not make the pool claim again and again',
    file: 'src/worker/pool/scheduler.ts',
    text: ' || !(await limits.refresh())',
    replacement: '',
    tests: { [WAITING]: ['neither claims nor turns without a reason'] },
  },
  {
    name: 'a count that waits for a slot does not wake the pool',
    file: 'src/perform/limits/pool-limits.ts',
    text: 'this.#wantsRecount && this.#waiting.size > 0 && waitMs > 0 ?',
    replacement: 'this.#wantsRecount ?',
    tests: { [WAITING]: ['does not turn while all its slots are taken, or if no job waits'] },
  },
  {
    name: 'a wake-up finds the places that other processes have freed',
    file: 'src/perform/limits/pool-limits.ts',
    text: 'if (claimKeys === undefined) this.#wantsRecount = true',
    replacement: '',
    tests: { [WAITING]: ['by polls alone', 'by the message with which Ruby promotes a job'] },
  },
  {
    name: 'functions of rules are called again while their jobs wait',
    file: 'src/perform/limits/pool-limits.ts',
    text: '      await this.#callFunctionsAgain()\n',
    replacement: '',
    tests: { [WAITING]: ['by a function that returns a larger limit, at the next wake-up'] },
  },
  {
    name: 'the end of a job without rules frees the places that it took',
    file: 'src/worker/pool/pools.ts',
    text: 'this.free(outcomes.flatMap(({ claimKeys, row }) => [...claimKeys, ...scopesOfRow(row)]))',
    replacement: 'this.free(outcomes.flatMap(({ claimKeys }) => claimKeys))',
    tests: { [WAITING]: ['by the end of a job whose class has no rules, without polls and messages'] },
  },
  {
    name: 'workers hear of the places that others free',
    file: 'src/worker/notifier.ts',
    text: 'if (freed && freed.processId !== this.#options.processId) this.#options.onFreed(freed)',
    replacement: 'void freed',
    tests: { [WAITING]: ['by a message of another worker in Node'] },
  },
  {
    name: 'the time opens a throttle',
    file: 'src/perform/limits/pool-limits.ts',
    text: 'Math.min(this.#waiting.opensAtMs, recountMs ?? Number.POSITIVE_INFINITY)',
    replacement: '(recountMs ?? Number.POSITIVE_INFINITY)',
    tests: { [WAITING]: ['by the time at which a throttle allows the next start, without polls and messages'] },
  },
  {
    name: 'a job whose label has changed is not started under the old one',
    file: 'src/sql/concurrency/admission.ts',
    text: '\n    AND to_jsonb(good_jobs.labels) IS NOT DISTINCT FROM wanted.label_list::jsonb',
    replacement: '',
    tests: { [WAITING]: ['is not started under the label that it had'] },
  },
  {
    name: 'claims leave out the jobs of full scopes',
    file: 'src/sql/claim/candidates.ts',
    text: "${options.limits ? notFull(options.limits, parameters) : ''}",
    replacement: '',
    tests: {
      'test/limits/admission.test.ts': ['never runs more than 3 jobs of a key at once, in their order'],
      [FAULTS]: ['over starts that are deferred'],
    },
  },
  {
    name: 'no start is deferred beside a rule that counts all jobs',
    file: 'src/worker/capsule-parts.ts',
    text: 'book.countsAllJobs ? 0 : deferral(options)',
    replacement: 'deferral(options)',
    tests: { [FAULTS]: ['of all jobs over jobs without rules whose starts are deferred'] },
  },
  {
    name: 'a function of a rule that throws fails the attempt',
    file: 'src/job/performing.ts',
    text: '  if (rulesError !== undefined) return Promise.reject(rulesError)\n',
    replacement: '',
    tests: { [FAULTS]: ['is the error of an attempt, which fails without a handler'] },
  },
]
