import { findPauses, pause, unpause } from '../../../src/sql/pauses.ts'
import { releaseDeadProcesses, releaseOrphans } from '../../../src/sql/process/dead.ts'
import { findProcess, listProcesses, readServer } from '../../../src/sql/process/list.ts'
import * as processes from '../../../src/sql/process/processes.ts'
import { AT, PROCESS_ID, writer } from './samples.ts'
import type { Shape } from './shape.ts'
export const PROCESS_SHAPES: readonly Shape[] = [
  {
    name: 'process/upsert',
    of: processes.upsertProcess,
    send: (db, facts) => processes.upsertProcess(db, facts, { id: PROCESS_ID, state: '{}' }),
  },
  {
    name: 'process/release dead',
    of: releaseDeadProcesses,
    send: (db, facts) => releaseDeadProcesses(db, facts, writer),
  },
  {
    name: 'process/release orphans',
    of: releaseOrphans,
    send: (db, facts) => releaseOrphans(db, facts, AT),
  },
  { name: 'process/remove', of: processes.removeProcess, send: (db) => processes.removeProcess(db, PROCESS_ID) },
  {
    name: 'process/find one that deletes',
    of: processes.findDeletingProcess,
    send: (db, facts) => processes.findDeletingProcess(db, facts),
  },
  { name: 'process/list', of: listProcesses, send: (db, facts) => listProcesses(db, facts, 10) },
  { name: 'process/find', of: findProcess, send: (db, facts) => findProcess(db, facts, PROCESS_ID) },
  { name: 'process/server', of: readServer, send: (db) => readServer(db) },

  { name: 'pauses/find', of: findPauses, send: (db) => findPauses(db) },
  { name: 'pauses/pause', of: pause, send: (db, facts) => pause(db, facts, 'queues', 'mail') },
  { name: 'pauses/unpause', of: unpause, send: (db, facts) => unpause(db, facts, 'queues', 'mail') },
]
