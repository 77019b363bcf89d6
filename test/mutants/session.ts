import type { Mutant } from './mutant.ts'

/** Whether a session and the facts about its database are still valid after a loss. */
export const SESSION_MUTANTS: readonly Mutant[] = [
  {
    name: 'a late error of an earlier connection does nothing to the current one',
    file: 'src/sql/connection/session.ts',
    text: 'if (connection === undefined || end !== this.end) return',
    replacement: 'if (connection === undefined) return',
    tests: { 'test/sql/connection.test.ts': ['a late error of an abandoned connection does not affect the next one'] },
  },
  {
    name: 'two callers that connect a session get one connection',
    file: 'src/sql/connection/session.ts',
    text: 'this.#connecting ??= this',
    replacement: 'this.#connecting = this',
    tests: { 'test/sql/connection.test.ts': ['two callers that connect a session at the same time get the same'] },
  },
  {
    name: 'a session waits for the end of the previous session',
    file: 'src/sql/connection/session.ts',
    text: '  throw Object.assign(new Error(`the server process ${pid}',
    replacement: '  Object.assign(new Error(`the server process ${pid}',
    tests: { 'test/sql/stuck-backend.test.ts': ['a session waits while the previous backend holds its locks, and'] },
  },
  {
    name: 'the statements of a connection have a limit, also the first ones',
    file: 'src/sql/connection/pg-connection.ts',
    text: 'return inTime(this.#db.query<R>(statement), this.#answerTimeoutMs)',
    replacement: 'return this.#db.query<R>(statement)',
    tests: {
      'test/claim/late-answers.test.ts': [
        'a server that is silent after the handshake gets the usual timeout, starts deferred by 0 ms',
      ],
    },
  },
  {
    name: 'the statements of a connection in a thread have a limit, also the first ones',
    file: 'src/sql/deferred/round-connection.ts',
    text: "await this.#askInTime({ type: 'query', statement }, 'rows')",
    replacement: "await this.#ask({ type: 'query', statement }, 'rows')",
    tests: {
      'test/claim/late-answers.test.ts': [
        'a server that is silent after the handshake gets the usual timeout, starts deferred by 5 ms',
      ],
    },
  },
  {
    name: 'an answer that has arrived while the event loop was blocked counts',
    file: 'src/sql/connection/pg-connection.ts',
    text: '    turnOffTimer(client)\n',
    replacement: '',
    tests: {
      'test/claim/session-loss.test.ts': [
        'an answer that arrived while the event loop was blocked does not count as missing',
      ],
    },
  },
  {
    name: 'late facts do not replace those that are being read',
    file: 'src/sql/database.ts',
    text: 'if (this.#facts === reading) this.#areFactsRead = true',
    replacement: 'this.#areFactsRead = true',
    tests: { 'test/sql/connection.test.ts': ['schema facts that arrive after they were discarded do not replace'] },
  },
]
