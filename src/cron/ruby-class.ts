import { GoodJobError } from '../errors.ts'
import { Job, type JobConstructor } from '../job/base.ts'

const classes = new Map<string, JobConstructor>()

const CONSTANT = /^(::)?\p{Lu}[\p{L}\p{N}_]*(::\p{Lu}[\p{L}\p{N}_]*)*$/u

/** Whether Ruby could have a class of this name. */
export const isRubyConstant = (name: string): boolean => CONSTANT.test(name)

/**
 * A class that stands for one of Ruby, so that its jobs can be enqueued by name. Its queue and priority are unknown here: jobs get the
 * queue `default` unless `set` names another one.
 */
export const rubyJobClass = (name: string): JobConstructor => {
  const known = classes.get(name)
  if (known) return known
  const made = class extends Job {
    static override jobClass = name.replace(/^::/, '')
    perform(): never {
      throw new GoodJobError(`${name} is a class of Ruby: only a Ruby worker can run its jobs`)
    }
  }
  classes.set(name, made)
  return made
}
