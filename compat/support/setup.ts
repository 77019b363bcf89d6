import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/** vitest's globalSetup: compiles the job modules, since Node 20 does not run TypeScript. They land beside dist, which they import. */
export const setup = async (): Promise<void> => {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'))
  const config = new URL('../tsconfig.jobs.json', import.meta.url).pathname
  await promisify(execFile)(process.execPath, [join(typescript, 'bin/tsc'), '-p', config])
}
