import { execFile } from 'node:child_process'
import { cp, mkdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'
import { missingTools } from './tools.js'

const ROOT = new URL('../..', import.meta.url).pathname

declare module 'vitest' {
  interface ProvidedContext {
    /** A copy of the built package, with the compiled job modules in `jobs/`. */
    packageFolder: string
  }
}

/**
 * vitest's globalSetup: a copy of the built package for the processes of this run, so that a build meanwhile does not take it
 * from under them, and beside it the job modules and the workers of mixed fleets, compiled, since Node 20 does not run TypeScript.
 */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const missing = missingTools()
  if (missing !== '') console.warn(missing)
  const folder = join(ROOT, '.tmp', `compat-${process.pid}`)
  await mkdir(folder, { recursive: true })
  for (const part of ['dist', 'package.json', 'schema.sql'])
    await cp(join(ROOT, part), join(folder, part), { recursive: true })
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))
  for (const [config, out] of [
    ['compat/tsconfig.jobs.json', 'jobs'],
    ['torture/tsconfig.json', 'torture'],
  ] as const) {
    const args = [join(typescript, 'bin/tsc'), '-p', join(ROOT, config), '--outDir', join(folder, out)]
    await promisify(execFile)(process.execPath, args)
  }
  project.provide('packageFolder', folder)
  return () => rm(folder, { recursive: true, force: true })
}
