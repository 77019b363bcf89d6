import { Job } from '../../src/job/base.ts'
import type { Step } from '../../src/job/continuation/step.ts'
import type { ExecutionResult, StoredJob } from '../../src/perform/attempt/execution.ts'
import { storedJobOf, storedParams } from './fixtures.ts'

/** A class of jobs with steps, with this `perform`. */
export const declareJob = (perform: (job: Job) => unknown) => {
  class StepJob extends Job {
    static override continuable = true
    perform() {
      return perform(this)
    }
  }
  return StepJob
}

/** A worker that stops after `checkpoints` checkpoints were passed. */
export const stopAfter = (checkpoints: number) => {
  let passed = 0
  return { stoppingReason: () => (passed++ >= checkpoints ? 'stopping' : (false as const)) }
}

export const progressOf = (result: ExecutionResult) => {
  const { continuation, resumptions } = storedParams(result)
  return { continuation, resumptions }
}

/** An attempt of a job whose earlier runs stored this progress. */
export const resumed = (job: Job, keys: Record<string, unknown>): StoredJob => {
  const attempt = storedJobOf(job)
  return { ...attempt, serializedParams: JSON.stringify({ ...JSON.parse(attempt.serializedParams), ...keys }) }
}

/** A step function that counts from its cursor on, with a checkpoint after each number. */
export const count = (from: number, to: number) => async (step: Step) => {
  for (let n = Number(step.cursor ?? from); n < to; n++) step.advance({ from: n })
}
