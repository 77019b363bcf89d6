import { Job, type JobConstructor } from '../../src/job/base.ts'
import type { ConcurrencyOptions, ConcurrencyRuleOptions } from '../../src/job/concurrency/rules.ts'

export interface Declared {
  readonly control?: ConcurrencyOptions
  readonly rules?: readonly ConcurrencyRuleOptions[]
  readonly labels?: readonly string[]
}

/** A separate class for each case. */
export const classWith = ({ control, rules = [], labels = [] }: Declared): JobConstructor => {
  class VJob extends Job {
    static override labels = labels
    perform() {}
  }
  if (control) VJob.controlConcurrencyWith(control)
  for (const rule of rules) VJob.concurrencyRule(rule)
  return VJob
}

export const jobWith = (declared: Declared, ...args: unknown[]): Job => new (classWith(declared))(...(args as never[]))

export const key = (text: string) => ({ claimKey: `key:${text}`, lockName: text })
export const label = (text: string) => ({ claimKey: `label:${text}`, lockName: `label:${text}` })
export const ALL = { claimKey: 'all', lockName: 'all' }

/** Values that JavaScript accepts and TypeScript refuses. */
export const wrong = <T>(value: unknown): T => value as T
