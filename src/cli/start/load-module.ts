import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ModuleError } from '../../errors.ts'

/**
 * What a module exports. The specifier is a path relative to the working directory, or a package that resolves from there.
 * @throws ModuleError for a module that does not load
 */
export const loadModule = async (specifier: string): Promise<Record<string, unknown>> => {
  try {
    return (await import(addressOf(specifier))) as Record<string, unknown>
  } catch (error) {
    throw new ModuleError(`${specifier} does not load: ${reasonOf(error, specifier)}`, { cause: error })
  }
}

/**
 * What a module exports, including the members of an object that CommonJS and many bundles export as a whole.
 * `module.exports = { MailJob }` arrives as `default`, and only some of its names also appear beside it.
 */
export const exportsOf = (module: Readonly<Record<string, unknown>>): (readonly [string, unknown])[] =>
  Object.entries(module).flatMap(([name, value]) => {
    const isWhole = name === 'default' || name === 'module.exports'
    const inside = isWhole && typeof value === 'object' && value !== null ? exportsOf(value as typeof module) : []
    return inside.length > 0 ? inside : [[name, value] as const]
  })

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
