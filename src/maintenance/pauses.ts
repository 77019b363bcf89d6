import type { EnqueueAdapter } from '../enqueue/adapter.ts'
import { ConfigurationError } from '../errors.ts'
import type { Pauses } from '../job/pauses.ts'
import { findPauses, type PauseKey, pause, unpause } from '../sql/pauses.ts'

/** Exactly one of these. */
export interface PauseTarget {
  readonly queue?: string
  readonly jobClass?: string
  readonly label?: string
}

const keyOf = ({ queue, jobClass, label }: PauseTarget): readonly [PauseKey, string] => {
  const given = (
    [
      ['queues', queue],
      ['job_classes', jobClass],
      ['labels', label],
    ] as const
  ).flatMap(([key, name]) => (name === undefined || name === '' ? [] : [[key, name] as const]))
  const [only] = given
  if (given.length === 1 && only !== undefined) return only
  throw new ConfigurationError('pause or unpause exactly one of queue, jobClass and label at a time')
}

/** Pauses a queue, class or label: workers that honour pauses start no jobs of it. @throws ConfigurationError unless there is one target */
export const pauseJobs = async ({ database }: EnqueueAdapter, target: PauseTarget): Promise<void> => {
  const [key, name] = keyOf(target)
  const facts = await database.facts()
  await database.statement((db) => pause(db, facts, key, name))
}

/**
 * Ends a pause. Workers notice at their next poll. @returns whether there was a pause @throws ConfigurationError unless there is one target
 */
export const unpauseJobs = async ({ database }: EnqueueAdapter, target: PauseTarget): Promise<boolean> => {
  const [key, name] = keyOf(target)
  const facts = await database.facts()
  return database.statement((db) => unpause(db, facts, key, name))
}

/** What is paused now. */
export const pausedJobs = ({ database }: EnqueueAdapter): Promise<Pauses> => findPauses(database.pool)
