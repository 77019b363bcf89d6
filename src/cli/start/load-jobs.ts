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
import { type CronEntries, parseCronEntries } from '../../schedule/options.ts'
import { exportsOf, loadModule } from './load-module.ts'

/**
 * The job classes that these modules export. A specifier is a path relative to the working directory, or a package that resolves from
 * there.
 * @throws ModuleError for a module that does not load or exports no class, and for two classes with one name
 * @throws ConfigurationError for a class that cannot run under a name of its own
 */
export const loadJobs = async (specifiers: readonly string[]): Promise<JobConstructor[]> =>
  (await loadModules(specifiers)).jobs

/** What the modules of a worker define. */
export interface LoadedModules {
  readonly jobs: JobConstructor[]
  /** The entries that they export as `cron`; undefined if none does. */
  readonly cron: CronEntries | undefined
}

/** The job classes and cron entries that these modules export. @throws ModuleError, ConfigurationError as `loadJobs`, and for two entries with one key */
export const loadModules = async (specifiers: readonly string[]): Promise<LoadedModules> => {
  const modules: ExportedNames[] = []
  for (const specifier of specifiers) modules.push({ specifier, exported: exportsOf(await loadModule(specifier)) })
  return { jobs: uniqueJobs(modules), cron: mergedCron(modules) }
}

interface ExportedNames {
  readonly specifier: string
  readonly exported: readonly (readonly [string, unknown])[]
}

const uniqueJobs = (modules: readonly ExportedNames[]): JobConstructor[] => {
  const owners = new Map<string, { jobClass: JobConstructor; specifier: string }>()
  for (const { specifier, exported } of modules) {
    for (const jobClass of jobsOfModule(specifier, exported)) {
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

const mergedCron = (modules: readonly ExportedNames[]): CronEntries | undefined => {
  const sources = modules.flatMap(({ specifier, exported }) =>
    [...new Set(exported.filter(([name]) => name === 'cron').map(([, entries]) => entries))].map((entries) => ({
      from: specifier,
      entries: cronOfModule(specifier, entries),
    })),
  )
  return sources.length === 0 ? undefined : mergeCron(sources)
}

const cronOfModule = (specifier: string, entries: unknown): CronEntries => {
  if (typeof entries !== 'string') return parseCronEntries(entries, `${specifier}: cron`)
  throw new ModuleError(`${specifier}: cron is an object of entries by their keys, got a text`)
}

/** Combines entries from several places. @throws ModuleError for two entries with one key */
export const mergeCron = (
  sources: readonly { readonly from: string; readonly entries: CronEntries }[],
): CronEntries => {
  const owners = new Map<string, string>()
  for (const { from, entries } of sources) {
    for (const key of Object.keys(entries)) {
      const other = owners.get(key)
      if (other !== undefined) {
        throw new ModuleError(
          `two cron entries have the key ${JSON.stringify(key)}: one of ${other}, one of ${from}; rename one of them`,
        )
      }
      owners.set(key, from)
    }
  }
  return Object.assign({}, ...sources.map(({ entries }) => entries))
}

const jobsOfModule = (specifier: string, exported: ExportedNames['exported']): JobConstructor[] => {
  const foreign = exported.find(([, value]) => isForeignJobClass(value))
  if (foreign !== undefined) throw new ModuleError(`${specifier}: ${foreign[0]} ${FOREIGN_ADVICE}`)
  const jobs = exported.map(([, value]) => value).filter(isJobClass)
  for (const jobClass of jobs) if (hasPerformField(jobClass)) assertPerforms(jobClass)
  // A base class may have no `perform` of its own.
  const concrete = jobs.filter(performs)
  if (concrete.length > 0 || (jobs.length === 0 && exported.some(([name]) => name === 'cron'))) return concrete
  const names = exported.map(([name]) => name).join(', ')
  const why =
    jobs.length > 0 ? ' with a perform method' : `: export classes that extend Job (it exports ${names || 'nothing'})`
  throw new ModuleError(`${specifier} exports no job class${why}`)
}
