import { ConfigurationError } from '../errors.ts'
import type { JobConstructor } from './base.ts'
import { formerNamesOf, jobClassName } from './class-name.ts'
import { assertJobClass, assertPerforms } from './job-class.ts'

/** The job classes a process knows, by the names they have in the queue. */
export class JobRegistry {
  readonly #classes = new Map<string, JobConstructor>()

  /**
   * Adds a class, once, under its name and its former names. Throws ConfigurationError for what is no job class that can be run, and when
   * another class has, or had, one of its names.
   */
  register(jobClass: JobConstructor, what = 'This value'): this {
    assertJobClass(jobClass, what)
    assertPerforms(jobClass)
    const name = jobClassName(jobClass)
    this.#assertFree(name, jobClass)
    const formerNames = formerNamesOf(jobClass)
    for (const former of formerNames) this.#assertFree(former, jobClass)
    for (const each of [name, ...formerNames]) this.#classes.set(each, jobClass)
    return this
  }

  /** The class that runs jobs of this name. */
  get(name: string): JobConstructor | undefined {
    return this.#classes.get(name)
  }

  /** Every name under which jobs are claimed, former ones too. */
  names(): string[] {
    return [...this.#classes.keys()]
  }

  #assertFree(name: string, jobClass: JobConstructor): void {
    const known = this.#classes.get(name)
    if (known === undefined || known === jobClass) return
    const isFormer = [known, jobClass].some((each) => formerNamesOf(each).includes(name))
    throw new ConfigurationError(
      isFormer
        ? `Two job classes claim the name "${name}": ${known.name} and ${jobClass.name}; take it out of static formerNames of one`
        : `Two job classes have the name "${name}": ${known.name} and ${jobClass.name}; give one another static jobClass`,
    )
  }
}
