import type { Mutant } from './mutant.ts'

/** With any default isolation level: a session that waited for a lock sees what the previous holder committed. */
export const ISOLATION_MUTANTS: readonly Mutant[] = [
  {
    name: 'every own transaction begins in READ COMMITTED',
    file: 'src/sql/transaction/read-committed.ts',
    text: "'BEGIN ISOLATION LEVEL READ COMMITTED'",
    replacement: "'BEGIN'",
    tests: {
      'test/batch/isolation-levels.test.ts': [
        'an action that waits for the lock of a batch sees a member',
        'a manual recovery that waits for the lock of a batch sees a',
        'a retry that waits for the lock of its batch includes a',
        'a batch enqueued while another session holds its lock waits',
        'a sweep waits while another process reads a page, and then sees what was committed meanwhile',
        'the query that finds which outcomes wait succeeds although a',
      ],
      'test/sql/read-committed.test.ts': [
        'an own transaction sees concurrent commits; a foreign transaction is recognized by its isolation level',
      ],
    },
  },
  {
    name: 'every own session is READ COMMITTED',
    file: 'src/sql/connection/session.ts',
    text: '{ ...PINNED_SETTINGS, ...settings }',
    replacement: 'settings',
    tests: {
      'test/sql/read-committed.test.ts': ['a claim takes a job that changed while it waited, starts deferred by 0'],
    },
  },
  {
    name: 'a statement refused because of the isolation level is repeated',
    file: 'src/sql/database.ts',
    text: 'if (sqlState(error) !== SERIALIZATION_FAILURE) throw error',
    replacement: 'throw error',
    tests: {
      'test/sql/read-committed.test.ts': [
        'a job whose id was inserted meanwhile is refused with an error that names it',
        'a cleanup deletes rows that changed while it waited for the tables',
      ],
    },
  },
  {
    name: 'a heartbeat is a transaction in READ COMMITTED',
    file: 'src/sql/threads/heartbeat-thread.ts',
    text: 'await connected.query(data.begin)',
    replacement: "await connected.query('BEGIN')",
    tests: {
      'test/sql/read-committed.test.ts': ['a process deletes its row, and updates its heartbeat, despite concurrent'],
    },
  },
  {
    name: 'a check that may see an old state is left to the sweep',
    file: 'src/batch/enqueue.ts',
    text: '|| (await seesCommits(db))',
    replacement: '|| Boolean(seesCommits)',
    tests: {
      'test/batch/callers-isolation.test.ts': ['no callback is enqueued for a member that was retried after'],
    },
  },
]
