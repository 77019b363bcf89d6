import type { Mutant } from './mutant.ts'

/** Callbacks: owed ones come, others never. */
export const BATCH_MUTANTS: readonly Mutant[] = [
  {
    name: 'success needs a member that succeeded since',
    file: 'src/batch/completion/proof.ts',
    text: 'if (!history.has_success_since && !isLate)',
    replacement: 'if (false)',
    tests: { 'test/batch/proof.test.ts': ['no member has succeeded since: refused'] },
  },
  {
    name: 'success needs the attempt that broke the batch, and a later success of its job',
    file: 'src/batch/completion/proof.ts',
    text: 'if (!isMended && !isLate)',
    replacement: 'if (false)',
    tests: { 'test/batch/proof.test.ts': [], 'test/batch/skew.test.ts': [] },
  },
  {
    name: 'an attempt that discarded the batch once before is not the one that discarded it now',
    file: 'src/sql/batch/history.ts',
    text: 'AND ${CALLBACK_CREATED_AT} >= breaking.broken_at AND ${CALLBACK_CREATED_AT} < $2',
    replacement: 'AND false AND ${CALLBACK_CREATED_AT} < $2',
    tests: { 'test/batch/skew.test.ts': [] },
  },
  {
    name: 'a later success is known by its count, whatever the clocks say',
    file: 'src/sql/batch/history.ts',
    text: "AND (${countOf('mending')} > breaking.executions OR mending.created_at",
    replacement: 'AND (mending.created_at',
    tests: { 'test/batch/skew.test.ts': [] },
  },
  {
    name: 'a success callback counts although the arming was stamped by a clock that is ahead',
    file: 'src/sql/batch/history.ts',
    text: 'least(${batch.enqueuedAt}, ${batch.jobsFinishedAt}))',
    replacement: '${batch.enqueuedAt})',
    tests: { 'test/batch/skew.test.ts': [] },
  },
  {
    name: 'nothing is proven while this process deletes finished jobs',
    file: 'src/batch/completion/proof.ts',
    text: 'if (policy.deletesFinishedJobs)',
    replacement: 'if (false)',
    tests: { 'test/batch/proof.test.ts': ['this process deletes finished jobs: refused'] },
  },
  {
    name: 'nothing is proven while another process deletes finished jobs',
    file: 'src/batch/completion/proof.ts',
    text: 'if (deleting) {',
    replacement: 'if (deleting && false) {',
    tests: { 'test/batch/proof.test.ts': ['a live process with preserve_job_records'] },
  },
  {
    name: 'nothing is proven of a batch older than the cleanup',
    file: 'src/batch/completion/proof.ts',
    text: 'if (age !== undefined && ',
    replacement: 'if (age !== undefined && false && ',
    tests: { 'test/batch/proof.test.ts': ['the batch is older than the cleanup: refused'] },
  },
  {
    name: 'success that Ruby fired too early is not fired again',
    file: 'src/batch/completion/decision.ts',
    text: "if (draft.jobsFinishedAt === null || proof.kind !== 'proven') return",
    replacement: 'if (draft.jobsFinishedAt === null) return',
    tests: { 'test/batch/proof.test.ts': ['a success that Ruby fired too early is told and not fired again'] },
  },
  {
    name: 'a batch is complete only without open members',
    file: 'src/batch/completion/decision.ts',
    text: 'draft.jobsFinishedAt !== null || state.has_open_member) return',
    replacement: 'draft.jobsFinishedAt !== null) return',
    tests: { 'test/batch/decision.test.ts': ['a batch never completes or finishes while a member is open'] },
  },
  {
    name: 'a batch with a broken member is discarded, not successful',
    file: 'src/batch/completion/decision.ts',
    text: 'if (state.broken_at !== null && draft.discardedAt === null) {',
    replacement: 'if (false as boolean) {',
    tests: { 'test/batch/decision.test.ts': ['success is never fired while a member is open or broken'] },
  },
  {
    name: 'a batch recovers only without open and broken members',
    file: 'src/batch/completion/decision.ts',
    text: 'state.discarded_at !== null && !state.has_open_member && state.broken_at === null',
    replacement: 'state.discarded_at !== null && !state.has_open_member',
    tests: { 'test/batch/decision.test.ts': [] },
  },
  {
    name: 'a batch is finished only without open callbacks',
    file: 'src/batch/completion/decision.ts',
    text: 'draft.finishedAt !== null || hasCallback) return',
    replacement: 'draft.finishedAt !== null) return',
    tests: { 'test/batch/decision.test.ts': ['the batch is finished only when no callback is open'] },
  },
  {
    name: 'a batch is not finished while a retried member runs',
    file: 'src/batch/completion/decision.ts',
    text: '  if (state.has_open_member) return\n  draft.finishedAt = now',
    replacement: '  draft.finishedAt = now',
    tests: { 'test/batch/decision.test.ts': ['a batch never completes or finishes while a member is open'] },
  },
  {
    name: 'a batch is checked under its lock',
    file: 'src/batch/completion/completion.ts',
    text: 'lockBatches(db, [...ids].map(batchLockKey))',
    replacement: 'lockBatches(db, [...ids].map(batchLockKey).slice(0, 0))',
    tests: { 'test/batch/races.test.ts': [] },
  },
  {
    name: 'a dry run is undone',
    file: 'src/batch/actions.ts',
    text: 'if (dryRun) throw new Undo(result)',
    replacement: 'if (dryRun) return result',
    tests: { 'test/batch/proof.test.ts': ['a dry run says what would happen and writes nothing'] },
  },
  {
    name: 'a batch retry is refused when the row that broke the batch is gone',
    file: 'src/batch/actions.ts',
    text: 'if (!force) await refuseMissing(db, facts, state)',
    replacement: '',
    tests: { 'test/batch/recovery.test.ts': ['row f: the same while another discarded job is left'] },
  },
  {
    name: 'a batch retry is refused while a member is locked',
    file: 'src/batch/actions.ts',
    text: '    await refuseLocked(db, broken)\n',
    replacement: '',
    tests: {
      'test/batch/recovery.test.ts': [
        'a batch is not retried while another session holds the lock of a discarded member',
      ],
    },
  },
  {
    name: 'the sweep waits until a batch is quiet',
    file: 'src/batch/completion/sweep.ts',
    text: "return batch.is_quiet ? 'hung' : undefined",
    replacement: "return 'hung'",
    tests: { 'test/batch/sweep.test.ts': ['a batch that is quiet for 10 minutes, its members for 1,'] },
  },
  {
    name: 'the sweep leaves a batch alone that another session holds',
    file: 'src/batch/completion/sweep.ts',
    text: 'if (!(await tryLockBatch(db, batchLockKey(batch.id), checkTimeoutMs(options)))) return NONE_CHECKED',
    replacement: '',
    tests: { 'test/batch/guarantees.test.ts': ['a batch that somebody else holds does not keep the sweep'] },
  },
  {
    name: 'one process sweeps at a time',
    file: 'src/batch/completion/sweep.ts',
    text: 'else if (!(await tryLockSweep(db)))',
    replacement: 'else if (!(await tryLockSweep(db)) && false)',
    tests: { 'test/batch/sweep.test.ts': ['one process sweeps at a time'] },
  },
  {
    name: 'a sweep waits for its next page while another process reads one',
    file: 'src/batch/completion/sweep.ts',
    text: 'if (!isFirst) await lockSweep(db)\n    else if (!(await tryLockSweep(db)))',
    replacement: 'if (isFirst && !(await tryLockSweep(db)))',
    tests: { 'test/batch/isolation-levels.test.ts': ['a sweep waits while another process reads a page'] },
  },
  {
    name: 'the sweep leaves a batch alone that changed a moment ago',
    file: 'src/sql/batch/check.ts',
    text: '${jobsFinished} IS NULL AND batch.updated_at < $4::${facts.timestampType})',
    replacement: '${jobsFinished} IS NULL)',
    tests: { 'test/batch/sweep.test.ts': ['a batch that is quiet for 1 minutes, its members for 10'] },
  },
  {
    name: 'the sweep leaves a batch alone whose callbacks ended a moment ago',
    file: 'src/sql/batch/check.ts',
    text: 'batch.finished_at IS NULL AND batch.updated_at < $4::${facts.timestampType})',
    replacement: 'batch.finished_at IS NULL)',
    tests: { 'test/batch/sweep.test.ts': ['a batch whose callbacks have ended is finished when it has been quiet'] },
  },
  {
    name: 'a check of the sweep that takes too long is given up by Postgres',
    file: 'src/sql/batch/batches.ts',
    text: "set_config('statement_timeout', least(",
    replacement: "set_config('application_name', least(",
    tests: {
      'test/batch/slow-checks.test.ts': [
        'a batch whose check takes too long is told by name, put off, and keeps no other from being healed',
        'Postgres gives a check up before the pool gives its connection up',
      ],
    },
  },
  {
    name: 'a check of the sweep is given up before the pool gives up',
    file: 'src/batch/completion/sweep.ts',
    text: 'return patienceMs > 0 ?',
    replacement: 'return patienceMs < 0 ?',
    tests: { 'test/batch/slow-checks.test.ts': ['Postgres gives a check up before the pool gives its connection up'] },
  },
  {
    name: 'a cancelled check does not end the sweep',
    file: 'src/batch/completion/sweep.ts',
    text: 'if (isCancelled(error)) slow.putOff(batch.id)\n    else if (endsSession',
    replacement: 'if (isCancelled(error)) slow.putOff(batch.id)\n    if (endsSession',
    tests: {
      'test/batch/slow-checks.test.ts': [
        'a batch whose check takes too long is told by name, put off, and keeps no other from being healed',
      ],
    },
  },
  {
    name: 'a batch whose check takes too long is put off',
    file: 'src/batch/completion/sweep.ts',
    text: "if (slow.isPutOff(batch.id)) return 'failed'",
    replacement: '',
    tests: {
      'test/batch/slow-checks.test.ts': [
        'a batch whose check takes too long is told by name, put off, and keeps no other from being healed',
      ],
    },
  },
  {
    name: 'a discard that is owed is read again under the lock of the batch',
    file: 'src/sql/batch/owed-discards.ts',
    text: 'WHERE broken.id = $1::uuid AND batch.id = $2::uuid AND broken.finished_at IS NOT NULL AND broken.error IS NOT NULL\n  AND ${isOwed(',
    replacement: 'WHERE broken.id = $1::uuid AND batch.id = $2::uuid OR NOT ${isOwed(',
    tests: {
      'test/batch/owed-discards.test.ts': ['what changed between the look and the lock is seen under the lock'],
    },
  },
  {
    name: 'an owed discard waits until its member has been broken for a while',
    file: 'src/sql/batch/owed-discards.ts',
    text: 'AND finished_at < $2::${facts.timestampType}\n',
    replacement: '\n',
    tests: {
      'test/batch/owed-discards.test.ts': [
        'a batch with a broken member is left to whoever is about to discard it until it has been quiet',
      ],
    },
  },
  {
    name: 'a batch that was written since its member broke is not discarded by the sweep',
    file: 'src/sql/batch/owed-discards.ts',
    text: 'IS NULL THEN broken.finished_at >= batch.updated_at',
    replacement: 'IS NULL THEN true',
    tests: {
      'test/batch/owed-discards.test.ts': [
        'a batch whose discard was taken back by a retry keeps it back while its members are retried',
      ],
    },
  },
  {
    name: 'a batch that ended beside a broken member is not discarded by the sweep',
    file: 'src/sql/batch/owed-discards.ts',
    text: 'ELSE broken.finished_at > ${jobsFinishedAt} END',
    replacement: 'ELSE true END',
    tests: {
      'test/batch/owed-discards.test.ts': [
        'a batch that Ruby ended in success beside a broken member is not discarded afterwards',
      ],
    },
  },
  {
    name: 'what a person discarded in Ruby is left until the batch ends',
    file: 'src/sql/batch/owed-discards.ts',
    text: "AND error NOT LIKE 'GoodJob::Job::DiscardJobError: %'",
    replacement: '',
    tests: {
      'test/batch/owed-discards.test.ts': [
        'what a person discarded in Ruby counts when the batch ends, and not before',
      ],
      'test/batch/model.test.ts': [],
    },
  },
  {
    name: 'a sweep that does not come is told',
    file: 'src/worker/watch/sweep-watch.ts',
    text: 'this.#missed = othersSweep ?',
    replacement: 'this.#missed = othersSweep || true ?',
    tests: { 'test/worker/sweep-watch.test.ts': [] },
  },
  {
    name: 'a sweep that another process has is no missing one',
    file: 'src/worker/watch/sweep-watch.ts',
    text: '(holder === undefined || holder !== this.#holder)',
    replacement: 'false',
    tests: { 'test/worker/sweep-watch.test.ts': ['sweeps that other processes have are as good as own ones'] },
  },
  {
    name: 'a retried job makes its batch unfinished',
    file: 'src/maintenance/job-actions.ts',
    text: '    await reopenBatches(db, facts, batchIdsOf(job), now)\n',
    replacement: '',
    tests: { 'test/batch/recovery.test.ts': ['a retried job makes its batch unfinished until it has ended'] },
  },
]
