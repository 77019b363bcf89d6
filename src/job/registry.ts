import { ConfigurationError } from '../errors.ts'
import { Job, type JobConstructor } from './base.ts'
import { jobClassName } from './class-name.ts'

/** Whether a value, such as an export of a module, is a job class. */
export const isJobClass = (value: unknown): value is JobConstructor =>
  typeof value === 'function' && value.prototype instanceof Job

/** The job classes a process knows, by the name they have in the queue. */
export class JobRegistry {
  readonly #classes = new Map<string, JobConstructor>()

  /** Adds a class, once. Throws ConfigurationError when another class has its name. */
  register(jobClass: JobConstructor): this {
    const name = jobClassName(jobClass)
    const known = this.#classes.get(name)
    if (known && known !== jobClass) {
      throw new ConfigurationError(
        `Two job classes have the name "${name}": ${known.name} and ${jobClass.name}; give one another static jobClass`,
      )
    }
    this.#classes.set(name, jobClass)
    return this
  }

  get(name: string): JobConstructor | undefined {
    return this.#classes.get(name)
  }

  names(): string[] {
    return [...this.#classes.keys()]
  }
}
