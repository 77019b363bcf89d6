import { ConfigurationError, ModuleError } from '../../errors.ts'
import type { JobConstructor } from '../../job/base.ts'
import {
  assertPerforms,
  FOREIGN_ADVICE,
  hasPerformField,
  isForeignJobClass,
  isJobClass,
  performs,
} from '../../job/definition/job-class.ts'
import { jobClassName } from '../../job/definition/naming.ts'
import { exportsOf, loadModule } from './load-module.ts'

/**
 * The job classes that these modules export. A specifier is a path relative to the working directory, or a package that resolves from
 * there.
 * @throws ModuleError for a module that does not load or exports no class, and for two classes with one name
 * @throws ConfigurationError for a class that cannot run under a name of its own
 */
export const loadJobs = async (specifiers: readonly string[]): Promise<JobConstructor[]> => {
  const owners = new Map<string, { jobClass: JobConstructor; specifier: string }>()
  for (const specifier of specifiers) {
    for (const jobClass of await jobsOfModule(specifier)) {
      const name = nameOf(jobClass, specifier)
      const known = owners.get(name)
      if (known !== undefined && known.jobClass !== jobClass) {
        throw new ModuleError(
          `two classes have the name "${name}": ${known.jobClass.name} of ${known.specifier} and ` +
            `${jobClass.name} of ${specifier}; give one another static jobClass`,
        )
      }
      owners.set(name, { jobClass, specifier })
    }
  }
  return [...owners.values()].map(({ jobClass }) => jobClass)
}

const nameOf = (jobClass: JobConstructor, specifier: string): string => {
  try {
    return jobClassName(jobClass)
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    throw new ConfigurationError(`${specifier}: ${error.message}`)
  }
}

const jobsOfModule = async (specifier: string): Promise<JobConstructor[]> => {
  const exported = exportsOf(await loadModule(specifier))
  const foreign = exported.find(([, value]) => isForeignJobClass(value))
  if (foreign !== undefined) throw new ModuleError(`${specifier}: ${foreign[0]} ${FOREIGN_ADVICE}`)
  const jobs = exported.map(([, value]) => value).filter(isJobClass)
  for (const jobClass of jobs) if (hasPerformField(jobClass)) assertPerforms(jobClass)
  // A base class may have no `perform` of its own.
  const concrete = jobs.filter(performs)
  if (concrete.length > 0) return concrete
  const names = exported.map(([name]) => name).join(', ')
  const why =
    jobs.length > 0 ? ' with a perform method' : `: export classes that extend Job (it exports ${names || 'nothing'})`
  throw new ModuleError(`${specifier} exports no job class${why}`)
}
