import type { JobConstructor } from '../../src/job/base.ts'
import type { ConcurrencyOptions, ConcurrencyRuleOptions } from '../../src/job/concurrency/rules.ts'
import { jobClass } from '../support/harness.ts'

/** A class with a control. */
export const controlled = (control: ConcurrencyOptions): JobConstructor =>
  jobClass(
    'LimitedJob',
    () => {},
    (made) => made.controlConcurrencyWith(control),
  )

/** A class with rules, whose jobs carry the labels of the rules. */
export const ruled = (...rules: ConcurrencyRuleOptions[]): JobConstructor =>
  jobClass(
    'RuledJob',
    () => {},
    (made) => {
      for (const rule of rules) made.concurrencyRule({ applyLabel: rule.label !== undefined, ...rule })
    },
  )
