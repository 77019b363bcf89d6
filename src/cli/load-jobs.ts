import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ModuleError } from '../errors.ts'
import type { JobConstructor } from '../job/base.ts'
import { isJobClass } from '../job/registry.ts'

/**
 * The job classes that these modules export: paths as seen from the working directory, or packages that resolve there.
 * @throws ModuleError for a module that does not load or has none, and for two classes with one name
 */
export const loadJobs = async (specifiers: readonly string[]): Promise<JobConstructor[]> => {
  const owners = new Map<string, { jobClass: JobConstructor; specifier: string }>()
  for (const specifier of specifiers) {
    for (const jobClass of await jobsOfModule(specifier)) {
      const known = owners.get(jobClass.jobClass)
      if (known !== undefined && known.jobClass !== jobClass) {
        throw new ModuleError(
          `two classes have the name "${jobClass.jobClass}": ${known.jobClass.name} of ${known.specifier} and ` +
            `${jobClass.name} of ${specifier}; give one another static jobClass`,
        )
      }
      owners.set(jobClass.jobClass, { jobClass, specifier })
    }
  }
  return [...owners.values()].map(({ jobClass }) => jobClass)
}

const jobsOfModule = async (specifier: string): Promise<JobConstructor[]> => {
  const exported = Object.entries(await load(specifier))
  const jobs = exported.map(([, value]) => value).filter(isJobClass)
  // A base class that only others extend has nothing to perform.
  const concrete = jobs.filter((jobClass) => typeof jobClass.prototype.perform === 'function')
  if (concrete.length > 0) return concrete
  throw new ModuleError(`${specifier} exports no job class${whyNone(exported, jobs.length)}`)
}

const whyNone = (exported: readonly (readonly [string, unknown])[], abstract: number): string => {
  if (abstract > 0) return ' with a perform method'
  const foreign = exported.find(([, value]) => typeof value === 'function' && 'performLater' in value)
  if (foreign !== undefined) {
    return `: ${foreign[0]} extends the Job of another copy of good-job-node; start the copy that is installed beside it (npx good-job)`
  }
  const names = exported.map(([name]) => name).join(', ')
  return `: export classes that extend Job (it exports ${names || 'nothing'})`
}

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
    // A package that only has an "import" condition; this package's own place finds what is installed beside it.
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
