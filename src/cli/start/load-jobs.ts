import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
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
  const exported = exportsOf(await load(specifier))
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

/**
 * What a module exports, including the members of an object that CommonJS and many bundles export as a whole.
 * `module.exports = { MailJob }` arrives as `default`, and only some of its names also appear beside it.
 */
const exportsOf = (module: Readonly<Record<string, unknown>>): (readonly [string, unknown])[] =>
  Object.entries(module).flatMap(([name, value]) => {
    const isWhole = name === 'default' || name === 'module.exports'
    const inside = isWhole && typeof value === 'object' && value !== null ? exportsOf(value as typeof module) : []
    return inside.length > 0 ? inside : [[name, value] as const]
  })

const load = async (specifier: string): Promise<Record<string, unknown>> => {
  try {
    return (await import(addressOf(specifier))) as Record<string, unknown>
  } catch (error) {
    throw new ModuleError(`${specifier} does not load: ${reasonOf(error, specifier)}`, { cause: error })
  }
}

const addressOf = (specifier: string): string => {
  const path = resolve(specifier)
  if (specifier.startsWith('.') || specifier.startsWith('/') || existsSync(path)) return pathToFileURL(path).href
  try {
    return pathToFileURL(createRequire(join(process.cwd(), 'package.json')).resolve(specifier)).href
  } catch {
    // The package has only an "import" condition. Resolution from this package finds what is installed beside it.
    return specifier
  }
}

const reasonOf = (error: unknown, specifier: string): string => {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ERR_MODULE_NOT_FOUND' && !existsSync(resolve(specifier))) return `there is no such file or package`
  if (code === 'ERR_UNSUPPORTED_DIR_IMPORT') return 'it is a folder; name its files'
  if (code === 'ERR_UNKNOWN_FILE_EXTENSION') {
    return `Node ${process.versions.node} does not run this kind of file; compile it first, or set NODE_OPTIONS="--import tsx"`
  }
  return error instanceof Error ? `${error.name}: ${message}` : String(error)
}
