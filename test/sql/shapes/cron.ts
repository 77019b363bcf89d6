import { findLastCronRuns, findLastOccurrence, isKnownCronKey } from '../../../src/sql/cron/runs.ts'
import { findCronSwitches, switchCronKey } from '../../../src/sql/cron/settings.ts'
import { AT } from './samples.ts'
import type { Shape } from './shape.ts'

export const CRON_SHAPES: readonly Shape[] = [
  { name: 'cron/switches', of: findCronSwitches, send: (db) => findCronSwitches(db) },
  { name: 'cron/enable', of: switchCronKey, send: (db, facts) => switchCronKey(db, facts, 'report', true) },
  { name: 'cron/disable', of: switchCronKey, send: (db, facts) => switchCronKey(db, facts, 'report', false) },
  {
    name: 'cron/last runs',
    of: findLastCronRuns,
    send: (db, facts) => findLastCronRuns(db, facts, { keys: ['report'], now: AT }),
  },
  {
    name: 'cron/last occurrence',
    of: findLastOccurrence,
    send: (db, facts) => findLastOccurrence(db, facts, { key: 'report', until: AT }),
  },
  { name: 'cron/is known', of: isKnownCronKey, send: (db) => isKnownCronKey(db, 'report') },
]
