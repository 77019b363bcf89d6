import { ConfigurationError } from '../../errors.ts'
import type { JobConstructor } from '../base.ts'
import { assertJobClass, assertPerforms } from './job-class.ts'
import { shortly } from './mistakes.ts'
import { formerNamesOf, jobClassName } from './naming.ts'

/** The job classes of a process, by their names in the queue. */
export class JobRegistry {
  readonly #classes = new Map<string, JobConstructor>()

  /**
   * Adds a class under its name and its former names; adding it again has no effect. Throws ConfigurationError if it is not a runnable job
   * class, or if another class has, or had, one of its names.
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

  /** Adds the classes of a list. Throws ConfigurationError as `register` does, and if `jobs` is not a list or is empty. */
  registerAll(jobs: unknown): this {
    if (!Array.isArray(jobs)) {
      const got = jobs === undefined ? 'it is missing' : `got ${shortly(jobs)}`
      throw new ConfigurationError(`jobs is the list of the job classes to run, such as jobs: [MailJob]; ${got}`)
    }
    if (jobs.length === 0) throw new ConfigurationError('no job classes: a worker runs only the classes in this list')
    for (const [index, jobClass] of jobs.entries()) this.register(jobClass as JobConstructor, `jobs[${index}]`)
    return this
  }

  /** The class that runs the jobs with this name. */
  get(name: string): JobConstructor | undefined {
    return this.#classes.get(name)
  }

  /** Every name under which jobs are claimed, including former names. */
  names(): string[] {
    return [...this.#classes.keys()]
  }

  /** One text per class, with former names in brackets: `MailJob (formerly OldMailJob)`. */
  describe(): string[] {
    const texts = [...new Set(this.#classes.values())].map((jobClass) => {
      const name = jobClassName(jobClass)
      const former = formerNamesOf(jobClass).filter((each) => each !== name)
      return former.length === 0 ? name : `${name} (formerly ${former.join(', ')})`
    })
    return texts.sort()
  }

  #assertFree(name: string, jobClass: JobConstructor): void {
    const known = this.#classes.get(name)
    if (known === undefined || known === jobClass) return
    const isFormer = [known, jobClass].some((each) => formerNamesOf(each).includes(name))
    throw new ConfigurationError(
      isFormer
        ? `Two job classes claim the name "${name}": ${known.name} and ${jobClass.name}; remove it from static formerNames of one of them`
        : `Two job classes have the name "${name}": ${known.name} and ${jobClass.name}; give one another static jobClass`,
    )
  }
}
