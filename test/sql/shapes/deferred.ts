import { countOf, type Queryable, rowsOf, type Statement } from '../../../src/sql/connection/queryable.ts'
import * as deferred from '../../../src/sql/deferred/statements.ts'
import { ID, request, writer } from './samples.ts'
import type { Shape } from './shape.ts'

const sends = (statement: Statement) => (db: Queryable) => rowsOf(db, statement)

export const DEFERRED_SHAPES: readonly Shape[] = [
  {
    name: 'deferred/lock',
    of: deferred.lockCandidates,
    send: (db, facts) => sends(deferred.lockCandidates(facts, request))(db),
  },
  {
    name: 'deferred/start',
    of: deferred.startLockedJobs,
    send: (db, facts) => {
      const { values = [], ...start } = deferred.startLockedJobs(facts, writer)
      return rowsOf(db, { ...start, values: [...values, [], [], []] })
    },
  },
  {
    name: 'deferred/start these rows',
    of: deferred.startLockedRows,
    send: (db, facts) => sends(deferred.startLockedRows(facts, [], writer))(db),
  },
  {
    name: 'deferred/finish',
    of: deferred.finishLockedJobs,
    send: (db, facts) => sends(deferred.finishLockedJobs(facts, [], writer))(db),
  },
  {
    name: 'deferred/delete',
    of: deferred.deleteLockedJobs,
    send: (db) => countOf(db, deferred.deleteLockedJobs([ID])),
  },
]
